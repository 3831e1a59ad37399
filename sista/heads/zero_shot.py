"""Zero-shot classification: a film is compared with prompts that state a finding and deny it.

CheXzero (Tiu et al. 2022): the softmax over the cosines with a positive and a negative prompt. The
prompts of BioViL (Boecking et al. 2022) are sentences. `ensemble` averages the vectors of both.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sista.adaptation.classification import Classifier
from sista.engine.restored import Restored

TASK = "classification"
ADAPTS = "untrained"
LEVELS: dict[str, tuple[int, ...]] = {"resnet": (), "vit": ()}
# Beyond, probabilities round to 0, 1/2 or 1, and ranks are lost.
RANGES = {"temperature": (0.01, 10)}
Prompts = Literal["chexzero", "biovil", "ensemble"]
# Positive and negative, with the label's name in lower case.
TEMPLATES: dict[str, tuple[tuple[str, str], ...]] = {
    "chexzero": (("{label}", "no {label}"),),
    "biovil": (("Findings suggesting {label}.", "No evidence of {label}."),),
}
TEMPLATES["ensemble"] = (*TEMPLATES["chexzero"], *TEMPLATES["biovil"])
# "No no finding" states nothing.
NORMAL = {"no finding", "normal"}
NORMAL_PROMPTS = (("No acute cardiopulmonary process.", "Abnormal chest."),)


class PromptClassifier(Classifier):
    """Cosines of films with prompts, over a temperature.

    Args:
        run: restored from the checkpoint.
        positive: `[L, D]` unit vectors of what states each label.
        negative: `[L, D]` of what denies it.
        temperature: of the softmax.
        exclusive: the classes exclude each other; then only `positive` counts.
    """

    def __init__(
        self, run: Restored, positive: Tensor, negative: Tensor, temperature: float, exclusive: bool
    ) -> None:
        super().__init__(exclusive)
        self.image_head, self.check_finite = run.model.image_head, run.check_finite
        self.positive, self.negative = positive, negative
        self.temperature = temperature

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits `[B, L]` of pooled features `[B, D]`.

        The sigmoid of the difference of two cosines is the softmax over both.
        """
        film = functional.normalize(self.image_head(inputs), dim=1)
        self.check_finite(film)
        cosine = film @ self.positive.T
        if not self.exclusive:
            cosine = cosine - film @ self.negative.T
        logits: Tensor = cosine / self.temperature
        return logits


def zero_shot(
    run: Restored,
    labels: Sequence[str],
    *,
    prompts: Prompts = "ensemble",
    temperature: float = 0.07,
    exclusive: bool = False,
) -> PromptClassifier:
    """Build the classifier from the text of the labels.

    Args:
        run: restored from the checkpoint.
        labels: names of the labels.
        prompts: `chexzero`, `biovil` or the mean of both.
        temperature: of the softmax, 0.01 to 10; ranks and AUROC do not depend on it.
        exclusive: exactly one label holds for an image; the data decide.
    """
    positive, negative = (
        torch.stack([_vector(run, label, prompts, side) for label in labels]) for side in (0, 1)
    )
    return PromptClassifier(run, positive, negative, temperature, exclusive)


def _vector(run: Restored, label: str, prompts: Prompts, side: int) -> Tensor:
    """Return the unit vector of what states (side 0) or denies (1) a label."""
    name = label.lower()
    pairs = NORMAL_PROMPTS if name in NORMAL else TEMPLATES[prompts]
    vectors = run.embed_texts([pair[side].format(label=name) for pair in pairs])
    return functional.normalize(vectors.mean(0), dim=0)
