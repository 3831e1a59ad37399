"""Progress of long work: a live bar on a terminal, a line now and then in a log file."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
LOG_EVERY_SECONDS = 10.0


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` and show how many are done on standard error.

    Args:
        items: what is worked through.
        description: what the work is, without patient data.
        total: number of items where `items` has no length.
    """
    count = len(items) if total is None and isinstance(items, Sized) else total
    # A bar redraws itself; in a file that would be a line for each step.
    if not sys.stderr.isatty():
        yield from _track_in_log(items, description, count)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        yield from progress.track(items, total=count, description=description)


def _track_in_log(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    """Yield `items`; print a line at most every ten seconds and one at the end."""
    of = f"/{total}" if total is not None else ""
    last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        if time.monotonic() - last > LOG_EVERY_SECONDS:
            last = time.monotonic()
            print(f"{description}: {done}{of}", file=sys.stderr, flush=True)
    print(f"{description}: {done}{of} done", file=sys.stderr, flush=True)
