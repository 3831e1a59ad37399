"""The encoders of a training, fused by torch.compile."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sista.engine.machine import Mode
from sista.engine.model import PretrainModel


def compile_encoders(model: PretrainModel, mode: Mode) -> None:
    """Let both encoders be compiled when they are first called; names and weights stay.

    Args:
        model: is changed in place.
        mode: of the run.
    """
    form: dict[str, Any] = {"mode": "reduce-overhead"} if mode.graphs else {}
    # Batches of images are of one size; that of the reports' row is one of few.
    model.image.compile(dynamic=False, **form)
    if model.text is not None:
        model.text.body.compile(dynamic=True, **form)


def begin_step(mode: Mode) -> None:
    """Say that nothing of the step before is used any more, so that its memory is used again."""
    if mode.graphs:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


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
