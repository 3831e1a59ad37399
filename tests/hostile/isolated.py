"""Work in a forked process that may die or hang: the parent says which item it was and goes on."""

import json
import mmap
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil

LIMIT_SECONDS = 10.0
# The child's own alarm rings first; only what holds Python's lock in C code is still there later.
KILL_SECONDS = LIMIT_SECONDS + 3
# Less computed in all that time: it waits for something. A busy machine gives a process more.
IDLE_SECONDS = 0.2


class Hang(BaseException):
    """The alarm rang. No `except Exception` swallows it."""


def hangs(computed: float, limit: float) -> bool:
    """Return whether a call that is not done after `limit` seconds hangs, by what it computed."""
    return computed < IDLE_SECONDS or computed >= limit


def spent(process: psutil.Process) -> float:
    """Return the seconds that a process and all that it has started have computed."""
    seconds = 0.0
    for each in (process, *process.children(recursive=True)):
        # One may end meanwhile.
        with suppress(psutil.Error):
            seconds += sum(each.cpu_times()[:4])
    return seconds


def _ring(_number: int, _frame: object) -> None:
    if hangs(spent(psutil.Process()) - alarm.began, alarm.limit):
        raise Hang
    # Slow only because the machine is busy.
    signal.setitimer(signal.ITIMER_REAL, alarm.limit)


def isolated(
    work: Callable[[int], Any], count: int, start: int = 0
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (item, result) for each item of range(start, count) whose work returns something.

    One forked child does item after item. `{"died": "signal 6"}` and `{"hang": seconds}` stand for
    an item that ended its process; the next child goes on behind it.

    Args:
        work: of one item; what it returns is written as JSON, None = nothing to say.
        count: of the items.
        start: the first item.
    """
    place = mmap.mmap(-1, 8)
    while start < count:
        reader, writer = os.pipe()
        struct.pack_into("q", place, 0, start)
        child = os.fork()
        if child == 0:
            os.close(reader)
            _child(work, range(start, count), place, writer)
        os.close(writer)
        ended = yield from _follow(child, reader, place)
        os.close(reader)
        if ended is None:
            return
        item = struct.unpack_from("q", place)[0]
        yield item, ended
        start = item + 1


def _child(work: Callable[[int], Any], items: range, place: mmap.mmap, writer: int) -> None:
    code = 1
    try:
        for item in items:
            struct.pack_into("q", place, 0, item)
            result = work(item)
            if result is not None:
                text = json.dumps([item, result], default=str) + "\n"
                os.write(writer, len(text.encode()).to_bytes(4, "little") + text.encode())
        code = 0
    except BaseException:
        # A mistake of the trial itself.
        traceback.print_exc(file=sys.__stderr__)
        sys.__stderr__.flush()
    finally:
        # No clean-up of the parent's: its buffers and handlers are not this process's.
        os._exit(code)


def _follow(
    child: int, reader: int, place: mmap.mmap
) -> Iterator[tuple[int, dict[str, Any]]]:  # returns how an item ended the child
    data, at, since, before = b"", -1, time.monotonic(), 0.0
    watched = psutil.Process(child)
    while True:
        ready, _, _ = select.select([reader], [], [], 0.5)
        if ready:
            read = os.read(reader, 1 << 16)
            data += read
            while len(data) >= 4 and len(data) >= (end := 4 + int.from_bytes(data[:4], "little")):
                item, result = json.loads(data[4:end])
                yield item, result
                data = data[end:]
            if not read:
                status = os.waitpid(child, 0)[1]
                if os.waitstatus_to_exitcode(status) == 0:
                    return None
                code = os.waitstatus_to_exitcode(status)
                return {"died": f"signal {-code}" if code < 0 else f"exit {code}"}
        now = struct.unpack_from("q", place)[0]
        if now != at:
            at, since, before = now, time.monotonic(), spent(watched)
        elif time.monotonic() - since > KILL_SECONDS and hangs(
            spent(watched) - before, KILL_SECONDS
        ):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"hang": KILL_SECONDS}


class alarm:  # noqa: N801
    """Context that raises `Hang` after some seconds, of computing or of waiting."""

    began = 0.0
    limit = LIMIT_SECONDS

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, _ring)
        alarm.began = spent(psutil.Process())
        signal.setitimer(signal.ITIMER_REAL, alarm.limit)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
