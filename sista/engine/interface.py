"""What a pre-training method is: an objective, and what it needs from the engine."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

HeadNorm = Literal["batch", "layer", "none"]


@dataclass(frozen=True)
class Needs:
    """What an objective needs.

    Attributes:
        trained: False for controls whose encoder is used as it starts.
        text: report embeddings, hence a text encoder.
        words: patch and word embeddings.
        labels: the finding labels of the corpus.
        released_weights: the image encoder starts from timm's released weights in any case.
        similarity: inter-report similarity by this encoder: `tfidf` or `labels`; "" = none.
        r_text: text that the similarity looks at: `raw` or `cleaned`.
        stop_words: function words count as words.
        width: dimensions of the shared embedding space.
        head_norm: norm after the global projections; `batch` has no learned scale.
    """

    trained: bool = True
    text: bool = False
    words: bool = False
    labels: bool = False
    released_weights: bool = False
    similarity: str = ""
    r_text: str = "cleaned"
    stop_words: bool = False
    width: int = 128
    head_norm: HeadNorm = "batch"


class Embedded(NamedTuple):
    """A batch of B pairs as an objective sees it; parts that it did not ask for are None.

    Attributes:
        image: `[B, D]` projected global image features, not normalised.
        report: `[B, D]`, likewise.
        patches: `[B, P, D]` projected patches.
        words: `[B, W, D]` projected words (pieces summed; special tokens left out).
        word_mask: `[B, W]` True at words.
        word_ids: `[B, W]` number of the word, equal for equal words.
        similarity: `[B, B]` inter-report similarity.
        logits: `[B, C]` finding logits of the image.
        labels: `[B, C]` 1/0/NaN.
    """

    image: Tensor | None = None
    report: Tensor | None = None
    patches: Tensor | None = None
    words: Tensor | None = None
    word_mask: Tensor | None = None
    word_ids: Tensor | None = None
    similarity: Tensor | None = None
    logits: Tensor | None = None
    labels: Tensor | None = None


class Objective(nn.Module):
    """A pre-training objective.

    `forward(e: Embedded)` returns its named parts as scalars; the part `loss` is minimised, the
    others are logged.
    """

    def __init__(self, needs: Needs) -> None:
        super().__init__()
        self.needs = needs

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the scalar parts; a control without training has none."""
        raise RuntimeError("this control is not trained")

    def word_patch_weights(self, e: Embedded) -> Tensor | None:
        """Return where each word looks, `[B, W, P]`, or None where the method has no such map."""
        return None


class Temperature(nn.Module):
    """A temperature, learned as its logarithm and kept within [0.01, 1].

    Args:
        start: first value; 0.07.
        learned: False keeps it fixed.
    """

    def __init__(self, start: float, learned: bool) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(start)), requires_grad=learned)

    def forward(self) -> Tensor:
        """Return the temperature."""
        return self.log.clamp(math.log(0.01), 0.0).exp()


def required(value: Tensor | None) -> Tensor:
    """Return a part of the batch that the objective asked for."""
    if value is None:
        raise RuntimeError("the engine left out a part that this objective needs")
    return value
