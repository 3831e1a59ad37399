"""What tells in words that a training goes wrong."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sista.errors import UserError
from sista.grid.budgets import Budget


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
