"""What is logged about the validation studies after each epoch."""

from collections.abc import Iterable

import torch
from torch import Tensor

from sista.engine.batches import Batch, part
from sista.engine.diagnostics import geometry, pair_auroc, token_gradients
from sista.engine.gradients import Differentiator
from sista.engine.state import means


@torch.no_grad()
def validate(trained: Differentiator, batches: Iterable[Batch], chunk: int = 0) -> dict[str, float]:
    """Return the loss parts on the validation studies, and diagnostics.

    The gradients at the image tokens are of the first batch.

    Args:
        trained: model and objective, in eval mode.
        batches: of validation studies.
        chunk: studies that are embedded at a time, as in training; 0 = a whole batch. The gradients
            are then those of a batch of so many.
    """
    history: list[dict[str, Tensor]] = []
    gradients: dict[str, Tensor] = {}
    for batch in batches:
        # What an objective draws is the same in every epoch, and does not depend on the training.
        torch.manual_seed(len(history))
        e = trained.embed(batch, chunk)
        parts = {f"val_{k}": v for k, v in trained.objective(e).items()}
        parts |= {f"val_{k}": v for k, v in trained.objective.diagnostics(e).items()}
        history.append(parts | geometry(e) | {"pair_auroc": pair_auroc(e)})
        if len(history) == 1:
            gradients = token_gradients(trained, part(batch, slice(0, chunk or None)))
    return means(history) | {name: float(value) for name, value in gradients.items()}
