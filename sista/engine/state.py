"""The state of a run on disk: after any step, so that a killed run ends with the same bits."""

import math
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from sista.errors import UserError
from sista.runs.saved_state import Stateful, read_state, write_state


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: epochs that are done.
        step: steps that are done of the epoch under way.
        history: scalar parts of these steps.
        seconds: that they took.
        log: one entry for each epoch that is done.
        best: lowest validation loss.
        stale: epochs since then.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, Tensor]] = field(default_factory=list)
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    stale: int = 0


class StateFile:
    """The state of a run, and its best weights beside it.

    Args:
        path: of the state.
        identity: of settings, data and code; a state of another identity is not used.
        parts: everything that has a state, by name.
    """

    def __init__(self, path: Path, identity: str, parts: Mapping[str, Stateful]) -> None:
        self.path = path
        self.best = _best(path)
        self.identity = identity
        self.parts = parts

    def save(self, progress: Progress) -> None:
        """Write how far the run has come, atomically."""
        # One tensor a part, not one a step: an epoch may have thousands of steps.
        facts = {**vars(progress), "history": _columns(progress.history)}
        write_state(self.path, self.identity, facts, self.parts)

    def load(self, device: torch.device) -> Progress:
        """Take the state over and return how far it was; a fresh start where there is none."""
        return read_state(self.path, self.identity, self.parts, device, _progress) or Progress()

    def keep_best(self) -> None:
        """Write the weights of all modules as the best ones."""
        write_state(self.best, self.identity, {}, self._modules())

    def take_best(self, device: torch.device) -> None:
        """Take the best weights over.

        Raises:
            UserError: they are not there any more, or not those of this run.
        """
        if read_state(self.best, self.identity, self._modules(), device, bool) is None:
            raise UserError(
                f"{self.best}: the weights of the best epoch are gone or damaged; delete "
                f"{self.path} and run again"
            )

    def _modules(self) -> dict[str, Stateful]:
        return {name: part for name, part in self.parts.items() if isinstance(part, nn.Module)}


def discard(path: Path) -> None:
    """Delete a state and its best weights: they only serve to resume."""
    path.unlink(missing_ok=True)
    _best(path).unlink(missing_ok=True)


class Interrupted(SystemExit):
    """The run was asked to stop and has saved its state: started again, it goes on from there.

    Its exit code is 75, EX_TEMPFAIL: "try again".
    """

    def __init__(self) -> None:
        super().__init__(os.EX_TEMPFAIL)


class StopSignals:
    """Notes SIGTERM and SIGUSR1 while it is open, so that a step ends before the run does.

    Attributes:
        asked: whether one has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        # Python lets only the main thread listen.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


@dataclass(frozen=True)
class Saving:
    """When a run saves its state, and where.

    Attributes:
        state: file.
        signals: that ask it to stop.
        every: steps after which it is saved, besides each epoch's end.
    """

    state: StateFile
    signals: StopSignals
    every: int


def means(history: list[dict[str, Tensor]]) -> dict[str, float]:
    """Return the mean of each part over steps: the only transfer from the device."""
    return {name: float(column.mean()) for name, column in _columns(history).items()}


def _best(path: Path) -> Path:
    return path.with_suffix(f".best{path.suffix}")


def _progress(facts: dict[str, Any]) -> Progress:
    """Return the facts of a state as progress; refuse what is none."""
    progress = Progress(**{**facts, "history": _rows(facts["history"])})
    fresh = vars(Progress())
    if any(type(value) is not type(fresh[name]) for name, value in vars(progress).items()):
        raise TypeError("not the types of progress")
    if min(progress.epoch, progress.step, progress.stale) < 0:
        raise ValueError("fewer than no steps")
    # A run that starts anew has no step, and its epoch has none either.
    if len(progress.history) != progress.step or len(progress.log) != progress.epoch:
        raise ValueError("not as many entries as steps and epochs")
    return progress


def _columns(history: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    if not history:
        return {}
    return {name: torch.stack([h[name].float() for h in history]) for name in history[0]}


def _rows(columns: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    values = (column.unbind() for column in columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
