"""What a pre-training method is: an objective, and what it needs from the engine."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from sista.engine.views import ViewPolicy
from sista.errors import check_range

HeadNorm = Literal["batch", "layer", "none"]
Projector = Literal["linear", "mlp"]


@dataclass(frozen=True)
class Needs:
    """What an objective needs.

    Attributes:
        trained: False for controls whose encoder is used as it starts.
        text: report embeddings, hence a text encoder.
        words: patch and word embeddings.
        patches: patch embeddings, also without words.
        cls_word: [CLS] counts as the first word of a report.
        attention: how much [CLS] looks at each word and patch in the encoders' last layers.
        sentences: patch and sentence embeddings.
        freeze_text: the text encoder stays as it starts; its projections are trained.
        image: projected global image features; given in any case with `text`.
        features: global image features before the projection.
        labels: the finding labels of the corpus.
        classifier: finding logits of the image.
        views: two views of each image, drawn so; None = one.
        pixels: projected cells of the last feature map, for each view.
        momentum: a slowly following copy of image encoder and pixel projection; the objective's
            `after_step` moves it.
        released_weights: the image encoder starts from timm's released weights in any case.
        timm_weights: the image encoder starts from this file with timm's own keys.
        weights: the image encoder is read from this file of `sista import`.
        similarity: inter-report similarity by this encoder (see `sista.text.report_encoders`);
            "" = none.
        r_text: text that the similarity looks at: `raw` or `cleaned`.
        stop_words: function words count as words.
        relevant_words: `stated`: only words of sentences that state a finding count; or `all`.
        patch_stride: pixels a patch of a ResNet, 8 or 16 (a ViT has one patch size).
        top_down: patches of a ResNet are made of the coarser maps too, see `PatchHead`.
        centre_patches: what all patches of a film have in common is taken out, see `PatchHead`.
        width: dimensions of the shared embedding space.
        head_norm: norm after the global projections; `batch` has no learned scale.
        projector: global projections: `linear`, or `mlp` with one hidden layer as wide as its
            input.
    """

    trained: bool = True
    text: bool = False
    words: bool = False
    patches: bool = False
    cls_word: bool = False
    attention: bool = False
    sentences: bool = False
    freeze_text: bool = False
    image: bool = False
    features: bool = False
    labels: bool = False
    classifier: bool = False
    views: ViewPolicy | None = None
    pixels: bool = False
    momentum: bool = False
    released_weights: bool = False
    timm_weights: str = ""
    weights: str = ""
    similarity: str = ""
    r_text: str = "cleaned"
    stop_words: bool = False
    relevant_words: str = "all"
    patch_stride: int = 16
    top_down: bool = False
    centre_patches: bool = False
    width: int = 128
    head_norm: HeadNorm = "batch"
    projector: Projector = "linear"

    def __post_init__(self) -> None:
        """Refuse a space without dimensions."""
        check_range("width", self.width, 1)


# Parts of `Embedded` that hold a value for each two pairs; all others have one row for each pair.
PAIRWISE = frozenset({"similarity"})


class Embedded(NamedTuple):
    """A batch of B pairs as an objective sees it; parts that it did not ask for are None.

    Every part but those in `PAIRWISE` has one row for each pair. So the engine can embed a batch in
    chunks and on several processes, and put the rows together before an objective sees them.

    Attributes:
        image: `[B, D]` projected global image features, not normalised.
        report: `[B, D]`, likewise.
        patches: `[B, P, D]` projected patches.
        words: `[B, W, D]` projected words (pieces summed; special tokens left out, but for [CLS]
            at 0 where the objective asked for it).
        word_mask: `[B, W]` True at words, which come before the padding.
        word_ids: `[B, W]` number of the word, equal for equal words; -1 at [CLS] and padding.
        word_count: `[B]` words of each report, on the host, so that reading it is no sync.
        word_attention: `[B, W]` attention of [CLS] to the word (mean over heads, sum over pieces),
            without gradient.
        patch_attention: `[B, P]` likewise for patches; None where the image encoder has no [CLS].
        sentences: `[B, S, D]` projected sentences (mean of their pieces).
        sentence_mask: `[B, S]` True at sentences.
        similarity: `[B, B]` inter-report similarity.
        logits: `[B, C]` finding logits of the image.
        labels: `[B, C]` 1/0/NaN.
        rows: `[B]` number of each study in its subset of the corpus.
        features: `[B, F]` global image features before the projection.
        second: `[B, D]` as `image`, of a second view.
        pixels: `[B, P, D]` projected cells of the last feature map, row by row.
        second_pixels: `[B, P, D]`, of the second view.
        target_pixels: `[B, P, D]`, by the momentum copy, without gradient.
        target_second_pixels: `[B, P, D]`, likewise.
        boxes: `[B, 2, 5]` where the two views lie, see `Views`.
        normal: `[B]` bool, studies without a finding; for diagnostics only.
    """

    image: Tensor | None = None
    report: Tensor | None = None
    patches: Tensor | None = None
    words: Tensor | None = None
    word_mask: Tensor | None = None
    word_ids: Tensor | None = None
    word_count: Tensor | None = None
    word_attention: Tensor | None = None
    patch_attention: Tensor | None = None
    sentences: Tensor | None = None
    sentence_mask: Tensor | None = None
    similarity: Tensor | None = None
    logits: Tensor | None = None
    labels: Tensor | None = None
    rows: Tensor | None = None
    features: Tensor | None = None
    second: Tensor | None = None
    pixels: Tensor | None = None
    second_pixels: Tensor | None = None
    target_pixels: Tensor | None = None
    target_second_pixels: Tensor | None = None
    boxes: Tensor | None = None
    normal: Tensor | None = None


class Objective(nn.Module):
    """A pre-training objective.

    `forward(e: Embedded)` returns its named parts as scalars; the part `loss` is minimised, the
    others are logged. What an objective keeps from step to step lies in buffers, which are part of
    the state that a killed run goes on from.
    """

    def __init__(self, needs: Needs) -> None:
        super().__init__()
        self.needs = needs

    @property
    def levels(self) -> Mapping[str, float]:
        """Return the parts that the loss weighs, with their weights; none = no such parts."""
        return {}

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the scalar parts; a control without training has none."""
        raise RuntimeError("this control is not trained")

    def prepare(self, studies: int) -> None:
        """Make buffers for so many training studies; called before a state is restored."""

    def before_epoch(self, embed: Callable[[], Tensor], progress: float) -> None:
        """Look at the training studies before an epoch.

        Args:
            embed: gives the projected global features `[N, D]` of all training images, without
                augmentation and gradient, in the order that `Embedded.rows` counts.
            progress: share of the epochs that are done, in [0, 1).
        """

    def after_step(self, model: nn.Module, progress: float) -> None:
        """Act on the model after each step of the optimiser.

        Args:
            model: that was trained.
            progress: share of the steps that are done, in (0, 1].
        """

    def calibrate(self, vectors: Any) -> None:
        """Learn cuts from the report vectors of the training corpus, before training.

        Args:
            vectors: `[N, V]` unit vectors, sparse or not; None where the objective needs none.
        """

    def diagnostics(self, e: Embedded) -> dict[str, Tensor]:
        """Return scalars logged for validation batches; never called in a training step."""
        return {}

    def token_losses(self, e: Embedded, shown: Tensor | None = None) -> dict[str, Tensor]:
        """Return the parts of the token level for each study, `[B]`; none without such a level.

        NaN where a study has no word that counts.

        Args:
            e: the batch.
            shown: `[B, P, D]` patches that a study is shown in place of its own.
        """
        return {}

    def word_patch_weights(self, e: Embedded) -> Tensor | None:
        """Return where each word looks, `[B, W, P]`, or None where the method has no such map."""
        return None


class Temperature(nn.Module):
    """A temperature, learned as its logarithm and kept within [0.01, 1].

    Args:
        start: first value; 0.07.
        learned: False keeps it fixed.

    Raises:
        UserError: the first value lies outside.
    """

    def __init__(self, start: float, learned: bool) -> None:
        super().__init__()
        # Outside, the clamp would train with another value than the record names.
        check_range("temperature", start, 0.01, 1.0)
        # A start at an end stays inside whatever the rounding of the logarithm.
        inside = min(max(math.log(start), math.log(0.01) + 1e-6), -1e-6)
        self.log = nn.Parameter(torch.tensor(inside), requires_grad=learned)

    def forward(self) -> Tensor:
        """Return the temperature."""
        return self.log.exp()

    @torch.no_grad()
    def keep_inside(self) -> None:
        """Bring the parameter back into its range; the engine does so after every step.

        A clamp in `forward` would have no gradient outside: a temperature that a step carried
        past an end would never come back. CLIP too scales its logits by at most 100 (Radford et
        al. 2021, section 2.5).
        """
        self.log.clamp_(math.log(0.01), 0.0)


def required(value: Tensor | None) -> Tensor:
    """Return a part of the batch that the objective asked for."""
    if value is None:
        raise RuntimeError("the engine left out a part that this objective needs")
    return value
