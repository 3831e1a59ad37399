"""Upper control: the image encoder trained on the finding labels of the corpus, without text."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.engine.interface import Embedded, Needs, Objective, required

CONTROL = True


class _Supervised(Objective):
    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the binary cross entropy, mean over the known labels."""
        logits, labels = required(e.logits), required(e.labels)
        known = ~torch.isnan(labels)
        each = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
        return {"loss": (each * known).sum() / known.sum().clamp_min(1)}


def supervised() -> Objective:
    """Return the control: binary cross entropy on every finding, uncertain counts as present."""
    return _Supervised(Needs(labels=True, classifier=True))
