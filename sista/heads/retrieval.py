"""Retrieval by the cosine of film and report in the space that pre-training gave them."""

from collections.abc import Sequence

from sista.engine.restored import Restored

TASK = "retrieval"
ADAPTS = "untrained"


def retrieval(run: Restored, labels: Sequence[str]) -> Restored:
    """Return the run as it is: both encoders with their projections.

    Args:
        run: restored from the checkpoint.
        labels: none.
    """
    return run
