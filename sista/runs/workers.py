"""Worker processes that end when the process that started them does, also when it is killed.

Without this a killed job leaves workers that wait for their next task forever. They hold the pipe
of its log, so the workflow would wait with them.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Literal

SAFE = "PYTHONSAFEPATH"


@contextmanager
def safe_path() -> Iterator[None]:
    """Let processes that are started meanwhile take no module from the current folder.

    Python's own servers of processes are started by `-c`, which looks there first: a `signal.py`
    in a download would be run by whoever reads the download where it lies.
    """
    before = os.environ.get(SAFE)
    os.environ[SAFE] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SAFE, None)
        else:
            os.environ[SAFE] = before


@contextmanager
def worker_pool(
    count: int, start: Literal["fork", "spawn", "forkserver"], preload: Sequence[str] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes.

    Args:
        count: processes.
        start: how they start; not `fork` where other threads run, whose locks it would copy.
        preload: modules that a fork server imports once for all.
    """
    context = multiprocessing.get_context(start)
    if start == "forkserver":
        context.set_forkserver_preload(list(preload))
    with safe_path(), ProcessPoolExecutor(count, context, initializer=end_with_parent) as pool:
        yield pool


def end_with_parent() -> None:
    """Let this process end when the one that started it does."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # `sys.exit` would end this thread alone.
        os._exit(1)
