"""MedCLIP (Wang et al. 2022): soft targets from the findings that two studies share."""

import torch
from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.losses.medclip import medclip as semantic_matching


class _MedClip(Objective):
    def __init__(self, needs: Needs, temperature: float, learned: bool, normal: bool) -> None:
        super().__init__(needs)
        self.temperature = Temperature(temperature, learned)
        self.normal = normal

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the semantic matching loss."""
        labels = finding_vectors(required(e.labels), self.normal)
        loss = semantic_matching(
            required(e.image),
            required(e.report),
            labels,
            labels,
            temperature=self.temperature(),
        )
        return {"loss": loss}


def finding_vectors(labels: Tensor, normal: bool) -> Tensor:
    """Return label vectors as MedCLIP compares them.

    Args:
        labels: `[B, C]` 1 = present, 0 = absent or not mentioned, NaN = unknown.
        normal: add a column that says "nothing found", so that normal studies are alike.

    Returns:
        `[B, C]` or `[B, C + 1]` of 0 and 1; a study of unknown labels has zeros.
    """
    present = labels.nan_to_num(0.0)
    if not normal:
        return present
    nothing = (present.sum(1) == 0) & (~labels.isnan()).any(1)
    return torch.cat([present, nothing.to(present.dtype)[:, None]], 1)


def medclip(
    *,
    temperature: float = 0.07,
    learn_temperature: bool = True,
    normal: bool = True,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return MedCLIP's objective.

    Cross entropy of the softmax of cosines against the softmax of label products, both ways.
    What differs: the source also pairs images and reports of different studies by their labels;
    here only the pairs of the corpus are used, as in every row, and image and report share the
    labels of their study. Uncertain findings count as present, as for `supervised`.

    Args:
        temperature: first value.
        learn_temperature: whether it is learned.
        normal: "nothing found" counts as a label (source: the label No Finding).
        width: dimensions of the shared space (source: 512).
        head_norm: norm after the global projections (source: none).
    """
    needs = Needs(text=True, labels=True, width=width, head_norm=head_norm)
    return _MedClip(needs, temperature, learn_temperature, normal)
