"""A function mapped over items in processes of its own: one that dies costs the item it was at."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from sista.errors import UserError, limit
from sista.runs.workers import end_with_parent, safe_path

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Died:
    """An item that killed its process, or held it for too long, and how."""

    reason: str


@contextmanager
def isolated_map(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int, module: str
) -> Iterator[Iterator[Result | Died]]:
    """Give the results in order, computed by a number of processes.

    Args:
        function: of a module; its errors are raised here.
        items: what it is called with.
        processes: at the same time.
        module: imported once for all processes.
    """
    # Not `fork`: the progress bar and Arrow run threads, whose locks a fork would copy.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    free: SimpleQueue[_Process[Item, Result]] = SimpleQueue()
    started = [_Process(context, function) for _ in range(min(processes, max(len(items), 1)))]
    for process in started:
        free.put(process)

    def one(item: Item) -> Result | Died:
        process = free.get()
        try:
            return process.call(item)
        finally:
            free.put(process)

    # A thread for each process, which waits for it.
    pool = ThreadPoolExecutor(len(started))
    try:
        with safe_path():
            yield pool.map(one, items)
    finally:
        for process in started:
            process.end()
        pool.shutdown(cancel_futures=True)


class _Process(Generic[Item, Result]):
    """A process that is started when it is first called, and again after its death."""

    def __init__(self, context: Any, function: Callable[[Item], Result]) -> None:
        self._context, self._function = context, function
        self._process: Any = None
        self._pipe: Connection | None = None
        self._ended = False

    def call(self, item: Item) -> Result | Died:
        """Return the function's result, or how its process died.

        Raises:
            Exception: what the function has raised.
        """
        if self._ended:
            return Died("not begun")
        if self._pipe is None:
            pipe, other = self._context.Pipe()
            process = self._context.Process(target=_work, args=(other, self._function), daemon=True)
            try:
                process.start()
            # Of the server that starts it, where that could not start itself.
            except (OSError, EOFError) as error:
                raise UserError(
                    f"no process for decoders can be started ({type(error).__name__}); allow more "
                    "processes (ulimit -u) or memory, and run again"
                ) from error
            self._process, self._pipe = process, pipe
            # Ours is closed, so that the pipe ends with the process.
            other.close()
        seconds = limit("SISTA_MAX_SECONDS")
        try:
            self._pipe.send(item)
            if not self._pipe.poll(seconds):
                self._stop()
                return Died(f"not decoded after {seconds} s (SISTA_MAX_SECONDS)")
            done, value = self._pipe.recv()
        except (EOFError, OSError):
            return Died(self._stop())
        if not done:
            raise value
        result: Result = value
        return result

    def _stop(self) -> str:
        """End the process and return how it has ended."""
        if self._pipe is not None:
            self._pipe.close()
            self._process.join(1.0)
            self._process.kill()
            self._process.join()
        self._pipe, code = None, self._process.exitcode
        named = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        return f"its decoder died ({named})"

    def end(self) -> None:
        """End the process; it takes no further items."""
        self._ended = True
        if self._process is not None:
            self._process.kill()


def _work(pipe: Connection, function: Callable[[Any], Any]) -> None:
    end_with_parent()
    # The parent has ended, or wants no more.
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            item = pipe.recv()
            try:
                answer = (True, function(item))
            # Raised again where it was asked for.
            except Exception as error:
                answer = (False, error)
            pipe.send(answer)
