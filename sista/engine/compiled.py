"""The encoders of a training, fused by torch.compile."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from sista.engine.machine import Mode
from sista.engine.model import PretrainModel


def compile_encoders(model: PretrainModel, mode: Mode) -> None:
    """Let both encoders be compiled when they are first called; names and weights stay.

    Args:
        model: is changed in place.
        mode: of the run.
    """
    # Batches of images are of one size; that of the reports' row is one of few.
    _compile(model.image, mode, dynamic=False)
    if model.text is not None:
        # Without the embeddings: the gradient of their tables would become an indexed sum, which a
        # GPU adds up one token after the other to give equal bits (a tenth of a step was seen).
        body: Any = model.text.body
        _compile(getattr(body, "encoder", body), mode, dynamic=True)


def begin_step(model: PretrainModel, mode: Mode) -> None:
    """Say that nothing of the step before is used any more, so that its memory is used again."""
    if mode.graphs:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        for module in model.modules():
            if isinstance(module.forward, InPlace):
                module.forward.calls = 0


class InPlace:
    """Calls a function with its tensors at the addresses of the step before.

    A recorded backward pass reads what the forward pass was given where that lay when it was
    recorded; given elsewhere, it is recorded again, in every step.

    Args:
        function: of tensors, and of tuples of them.

    Attributes:
        calls: since the step began; each has its own places.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.calls = 0
        self._places: dict[Any, Tensor] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; in evaluation with the tensors as they are."""
        if not torch.is_grad_enabled():
            return self.function(*args, **kwargs)
        leaves, form = tree_flatten((args, kwargs))
        for n, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                key = (self.calls, n, leaf.shape, leaf.stride(), leaf.dtype)
                leaves[n] = _Placed.apply(leaf, self._places, key)  # type: ignore[no-untyped-call]
        self.calls += 1
        args, kwargs = tree_unflatten(leaves, form)
        return self.function(*args, **kwargs)


class _Placed(torch.autograd.Function):
    """The same values at a place that stays."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, places: dict[Any, Tensor], key: Any) -> Tensor:
        # Three channels in the memory of one are copied once.
        whole = tuple(slice(None) if stride else slice(1) for stride in value.stride())
        if key not in places:
            places[key] = torch.empty_like(value[whole])
        return places[key].copy_(value[whole]).detach().expand(value.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None, None


def _compile(module: Any, mode: Mode, dynamic: bool) -> None:
    if not mode.graphs:
        module.compile(dynamic=dynamic)
        return
    module.forward = InPlace(torch.compile(module.forward, dynamic=dynamic, mode="reduce-overhead"))


@contextmanager
def as_compiled(mode: Mode) -> Iterator[None]:
    """Take what was compiled for training, and compile nothing else: evaluation is too short."""
    if not mode.compiled:
        yield
        return
    with torch.compiler.set_stance("eager_on_recompile"):
        yield


@contextmanager
def told_once(mode: Mode, first: bool) -> Iterator[None]:
    """Say how long the first step took, in which everything is compiled.

    Args:
        mode: of the run.
        first: this is the first step.
    """
    begun = time.perf_counter()
    yield
    if mode.compiled and first:
        spent = time.perf_counter() - begun
        print(f"compiled: the first step took {spent:.0f} s", file=sys.stderr, flush=True)
