"""The hub of released weights is asked once whether it answers, and not for a minute a file."""

import functools

SECONDS = 10


@functools.cache
def reach() -> None:
    """Take the copies of this machine alone, where the hub does not answer.

    Its own downloads try six times for each file, also of a model whose copy is here: a compute
    node without network waits for nearly a minute.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:
        # Of many kinds; each means that nothing can be had from there. The same switch as the
        # variable HF_HUB_OFFLINE, which is read when the library is imported.
        constants.HF_HUB_OFFLINE = True
