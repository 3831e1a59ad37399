"""What tells in words that a training goes wrong: no number, or a plateau that is not left."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sista.errors import UserError
from sista.grid.budgets import Budget

# A run has left the plateau at its start when own pairs win so many of their comparisons on
# validation studies (chance 0.5), whatever the objective and its scale; later than this share of
# the budget, a row measures how soon its method started. See benchmarks/regime.
TOLD_APART = 0.60
LATEST = 0.40


def left_at(values: Sequence[float], good: Callable[[float], bool], epochs: int) -> float | None:
    """Return after which share of the budget all values are good, for good; None = never.

    Args:
        values: one for each epoch.
        good: whether a value is off the plateau; NaN must not be.
        epochs: of the whole budget.
    """
    for n in range(len(values)):
        if all(good(value) for value in values[n:]):
            return (n + 1) / epochs
    return None


class Plateau(NamedTuple):
    """Whether a run has left the plateau at its start.

    Attributes:
        word: left, late or stuck; None = it cannot be told.
        share: of the budget after which it was left; None = never, or it cannot be told.
        told: a sentence for people.
    """

    word: str | None
    share: float | None
    told: str


def plateau(log: Sequence[Mapping[str, float]], epochs: int) -> Plateau:
    """Return whether a run left the plateau at its start, and after which share of its budget.

    Args:
        log: entries of all epochs, with `pair_auroc`.
        epochs: of the budget.
    """
    values = [entry.get("pair_auroc", math.nan) for entry in log]
    if all(math.isnan(value) for value in values):
        told = "whether training left its plateau cannot be told: the method has no pairs"
        return Plateau(None, None, told)
    share = left_at(values, lambda value: value > TOLD_APART, epochs)
    last = f"own pairs win {values[-1]:.0%} of their comparisons on validation studies"
    if share is None:
        told = (
            f"STUCK: training has not left the plateau at its start ({last}, chance 50%); its rows "
            "say nothing about the method: give it a longer budget or look at its settings"
        )
        return Plateau("stuck", None, told)
    if share > LATEST:
        told = (
            f"LATE: training left the plateau at its start after {share:.0%} of the budget "
            f"({last}); its rows measure how soon it started more than what it can learn"
        )
        return Plateau("late", share, told)
    told = f"training left the plateau at its start after {share:.0%} of the budget ({last})"
    return Plateau("left", share, told)


def check_finite(
    history: Sequence[Mapping[str, Tensor]], epoch: int, steps: int, budget: Budget
) -> None:
    """Refuse a loss that is infinite or no number: nothing is learned from there on.

    With fp16 single steps may overflow; the scaler leaves them out and lowers its factor. There
    only a loss that stays so is an error.

    Args:
        history: loss parts of the steps of this epoch so far.
        epoch: counted from 0.
        steps: of an epoch.
        budget: decides the advice.

    Raises:
        UserError: names step and epoch and the setting that most often is the reason.
    """
    if not history:
        return
    losses = torch.stack([parts["loss"].float() for parts in history])
    bad = (~losses.isfinite()).nonzero().flatten().tolist()
    if not bad or (budget.precision == "fp16" and len(history) - 1 not in bad):
        return
    step = epoch * steps + bad[0] + 1
    advice = f"most often the learning rate is too high (budget {budget.word}: "
    advice += f"{budget.learning_rate:g}), or a temperature or weight among the method's settings"
    if budget.precision != "no":
        advice += f"; or the precision {budget.precision} is too low: --precision no"
    raise UserError(
        f"the loss became {float(losses[bad[0]])} at step {step} (epoch {epoch + 1} of "
        f"{budget.epochs}); nothing is written. {advice[0].upper()}{advice[1:]}"
    )
