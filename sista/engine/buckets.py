"""Gradients of all processes, added up in a few large messages while the backward pass runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sista.engine.distributed import Ranks

# Of one message: small ones wait for each other, large ones for their last gradient.
BUCKET = 32 << 20


@dataclass
class _Bucket:
    parameters: list[nn.Parameter] = field(default_factory=list)
    bytes: int = 0
    # Whose gradients the next message takes, and how many of them are not there yet.
    awaited: dict[nn.Parameter, None] = field(default_factory=dict)
    missing: int = 0


class Buckets:
    """Adds up the gradients of parameters over the processes.

    A message waits for those parameters alone that the step before has reached in its last pass.
    Where a batch has chunks, a projection's gradients are whole before that pass; what no loss
    reaches, such as the pooler of a released BERT, never has one. The rest goes at the end.

    Args:
        ranks: the processes; one process adds nothing.
        modules: whose parameters are trained.
    """

    def __init__(self, ranks: Ranks, *modules: nn.Module) -> None:
        self._buckets: list[_Bucket] = []
        self._of: dict[nn.Parameter, _Bucket] = {}
        self._next = 0
        self._under_way: list[tuple[Any, Tensor, list[Tensor]]] = []
        self._last = False
        # By the last pass of a step, in its order; empty before the first one.
        self._reached: dict[nn.Parameter, None] = {}
        if ranks.count == 1:
            return
        trained = [p for m in modules for p in m.parameters() if p.requires_grad]
        # The backward pass goes from the end to the start.
        for parameter in reversed(trained):
            if not self._buckets or self._buckets[-1].bytes >= BUCKET:
                self._buckets.append(_Bucket())
            bucket = self._of[parameter] = self._buckets[-1]
            bucket.parameters.append(parameter)
            bucket.bytes += parameter.nbytes
            hook = parameter.register_post_accumulate_grad_hook
            hook(self._accumulated)  # type: ignore[no-untyped-call]

    def expect(self, last: bool) -> None:
        """Say that a backward pass begins.

        Args:
            last: the gradients that it reaches are whole when it has passed.
        """
        self._last, self._next = last, 0
        if not last:
            return
        expected = self._reached or self._of
        for bucket in self._buckets:
            bucket.awaited = {p: None for p in bucket.parameters if p in expected}
            bucket.missing = len(bucket.awaited)
        self._reached = {}

    def finish(self) -> None:
        """Send what was not sent yet, and wait until all gradients are sums over the processes."""
        for bucket in self._buckets[self._next :]:
            self._send(bucket.awaited)
        # Also those that a pass reaches for the first time.
        self._send([p for p, bucket in self._of.items() if p not in bucket.awaited])
        for work, message, gradients in self._under_way:
            work.wait()
            sizes = [gradient.numel() for gradient in gradients]
            parts = zip(torch.split(message, sizes), gradients, strict=True)
            torch._foreach_copy_(gradients, [part.view(g.shape) for part, g in parts])
        self._under_way = []
        self._last, self._next = False, 0

    def _accumulated(self, parameter: Tensor) -> None:
        if not self._last:
            return
        self._reached[parameter] = None  # type: ignore[index]
        bucket = self._of[parameter]  # type: ignore[index]
        bucket.missing -= parameter in bucket.awaited
        # In one order everywhere: messages are paired by their order, not by name.
        while self._next < len(self._buckets) and not self._buckets[self._next].missing:
            self._send(self._buckets[self._next].awaited)
            self._next += 1

    def _send(self, parameters: Iterable[nn.Parameter]) -> None:
        # A parameter that no loss reaches has no gradient, in no process.
        gradients = [p.grad for p in parameters if p.grad is not None]
        if gradients:
            message = torch.cat([gradient.flatten() for gradient in gradients])
            work = dist.all_reduce(message, async_op=True)
            self._under_way.append((work, message, gradients))
