"""From the disk to the device: batches are prepared ahead while the device computes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")


def moved(values: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array on the device; a GPU is given it from pinned memory, without a wait."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def fed(
    make: Callable[[int], T], numbers: Iterable[int], device: torch.device, ahead: int
) -> Generator[T, None, None]:
    """Yield what `make` makes of each number, in their order, whatever `ahead` is.

    Args:
        make: depends on the number alone.
        numbers: of batches.
        device: on a GPU a stream of its own copies and augments.
        ahead: made beforehand, by one thread, which so holds at most one more; 0 = none, each is
            made when it is asked for.
    """
    if not ahead:
        yield from map(make, numbers)
        return
    stream: Any = None
    if device.type == "cuda":
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def ready(number: int) -> tuple[T, Any]:
        with torch.cuda.stream(stream) if stream else nullcontext():
            value = make(number)
            return value, stream.record_event() if stream else None

    waiting: deque[Future[tuple[T, Any]]] = deque()
    # A thread begins on the first GPU, where it would take memory from another process.
    own: dict[str, Any] = {}
    if stream:
        # The stream's device has a number; `device` may be any GPU, which `set_device` refuses.
        own = {"initializer": torch.cuda.set_device, "initargs": (stream.device,)}
    pool = ThreadPoolExecutor(1, "feeding", **own)
    try:
        for number in numbers:
            waiting.append(pool.submit(ready, number))
            if len(waiting) > ahead:
                yield _arrived(*waiting.popleft().result(), device)
        while waiting:
            yield _arrived(*waiting.popleft().result(), device)
    finally:
        # Who stops in the middle of an epoch does not wait for batches that nobody asks for.
        pool.shutdown(cancel_futures=True)


def _arrived(value: T, event: Any, device: torch.device) -> T:
    """Let the device wait, not the host, until the value is there."""
    if event is not None:
        computing = torch.cuda.current_stream(device)
        computing.wait_event(event)
        for tensor in _tensors(value):
            # Its memory belongs to the other stream, which must not use it again too early.
            tensor.record_stream(computing)
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_cuda:
            yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
