"""One process at a time makes what several would write to the same place."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sista.errors import UserError, unwritable


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Wait until no other process makes a target; the caller then looks whether it is there.

    The system gives the lock back when a process dies, so a killed one blocks nobody.

    Args:
        target: file or folder that is made; the lock lies beside it, hidden.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = target.with_name(f".{target.name}.lock").open("ab")
    except OSError as error:
        raise UserError(f"{target}: {unwritable(error) or error}") from error
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
