"""One process at a time makes what several would write to the same place."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sista.errors import UserError, unwritable, warn
from sista.files import regular


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Wait until no other process makes a target; the caller then looks whether it is there.

    Args:
        target: file or folder that is made; the lock lies beside it, hidden.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        stream = _opened(
            target.with_name(f".{target.name}.lock"), f"{target.name}: another job makes it"
        )
    except OSError as error:
        raise UserError(f"{target}: {unwritable(error) or error}") from error
    with stream:
        yield


@contextmanager
def held(lock: Path, told: str) -> Iterator[None]:
    """Hold a lock file, whose folder is made where it is not there.

    The system gives the lock back when a process dies, so a killed one blocks nobody.

    Args:
        lock: its path; who holds it may remove it with its folder.
        told: is said to the user where somebody else holds it.

    Raises:
        UserError: a folder or a pipe lies there.
    """
    with _opened(lock, told):
        yield


def _opened(lock: Path, told: str) -> BinaryIO:
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = regular(lock).open("ab")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            warn(f"{told}; waiting")
            fcntl.flock(stream, fcntl.LOCK_EX)
        # Its last holder may have removed the file that was waited for.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(stream.name)):
                return stream
        stream.close()
