"""The settings of SISTA: what the abstract leaves open, with the default that is shipped."""

from dataclasses import dataclass
from typing import Literal

from sista.engine.interface import HeadNorm
from sista.errors import check_range
from sista.losses.sia import Mode
from sista.losses.sparsify import Sparsify


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of `sista`.

    Attributes:
        w_sia: weight of the instance level.
        w_sta: weight of the token level; 0 leaves it out.
        temperature: first value of the instance level (learned unless switched off).
        learn_temperature: whether it is learned.
        sia_mode: reading of SIA; `eliminate` is the abstract's word; `infonce` switches it off.
        theta: reports more similar than this count as saying the same.
        theta_quantile: takes the place of theta: this quantile of the similarities of all pairs of
            training reports, e.g. 0.9; None = theta.
        theta_neutral: `attract`: negatives are at most this similar; None = theta.
        soft_temperature: `soft`: temperature of the targets.
        recentre: FaNe's `(r - o) / (1 - o + 1e-6)` before any cut: o from the whole corpus, or
            running over batches (0.95 old + 0.05 new).
        similarity: frozen encoder of the reports: tfidf, minilm, labels, rule_labels, or a
            transformers folder or hub id (`:cls` or `:mean` behind it names the pooling).
        r_text: what it looks at; `cleaned` keeps the clauses that state findings.
        local_temperature: of the contrasts of the token level, fixed (SPARC: learned from 0.07).
        sparsify: how a word's scores become few patches (SPARC: minmax).
        sigma: threshold of minmax; None = 1/P.
        top_k: patches that topk keeps.
        attention_temperature: a word picks patches by cosines over this; None = by dot products.
        directions: who queries inside a report: words, patches or both.
        same_word: `ignore`: equal words of a report are no negatives of each other.
        stop_words: whether function words take part.
        relevant_words: `stated`: only words of sentences that state a finding take part; `all`.
        word_weights: relevance of the words: `uniform`, or the [CLS] attention of the text encoder.
        w_intra: weight of SIA among the images alone: those whose reports differ are pushed apart,
            SIA's mode decides about those whose reports say the same.
        image_negatives: other images (whose report lacks it) that each word is compared with;
            0 (with `w_report` 1 to the end) is the literal form, which can be solved without
            looking at the image; -1 compares all images with all reports of the batch (GLoRIA's
            contrast on sparse attention).
        eliminate_images: leave reports that say the same out of the contrast -1, as SIA does.
        w_report: weight of the contrast inside one report.
        w_report_end: the weight goes to this one in a straight line over training; None = constant.
        w_images: weight of the contrast across images.
        w_absent: weight of the contrast, on each image, of the words of its report with words of
            the next `image_negatives` reports that its own lacks.
        stop_gradient: no gradient to the query through the weights.
        patch_stride: pixels a patch: a ResNet map of this stride (a ViT has one patch size).
        patch_source: of a ResNet: `map` takes that map; `top_down` adds the coarser ones, projected
            and enlarged (a feature pyramid), so that the token level trains the last stages too.
        centre_patches: take the mean patch of each film out before words look at patches.
        swap_images: control: the token level sees the image of the study before in the batch in
            place of the own one; the negatives stay as they are.
        width: dimensions of the shared space.
        head_norm: norm after the global projections.
    """

    w_sia: float = 1.0
    w_sta: float = 2.0
    w_intra: float = 0.0
    temperature: float = 0.07
    learn_temperature: bool = True
    sia_mode: Mode = "eliminate"
    theta: float = 0.9
    theta_quantile: float | None = None
    theta_neutral: float | None = None
    soft_temperature: float = 0.1
    recentre: Literal["none", "corpus", "running"] = "none"
    similarity: str = "tfidf"
    r_text: Literal["raw", "cleaned"] = "cleaned"
    local_temperature: float = 0.07
    sparsify: Sparsify = "entmax15"
    sigma: float | None = None
    top_k: int = 8
    attention_temperature: float | None = None
    directions: Literal["word", "patch", "both"] = "word"
    same_word: Literal["ignore", "keep"] = "ignore"
    stop_words: bool = False
    relevant_words: Literal["all", "stated"] = "stated"
    word_weights: Literal["uniform", "cls"] = "uniform"
    image_negatives: int = 8
    eliminate_images: bool = True
    w_report: float = 1.0
    w_report_end: float | None = 0.0
    w_images: float = 1.0
    w_absent: float = 0.0
    stop_gradient: bool = False
    patch_stride: Literal[8, 16] = 8
    patch_source: Literal["map", "top_down"] = "map"
    centre_patches: bool = False
    swap_images: bool = False
    width: int = 128
    head_norm: HeadNorm = "batch"

    def __post_init__(self) -> None:
        """Refuse what divides by nothing or has no meaning."""
        for name in ("local_temperature", "soft_temperature", "attention_temperature"):
            check_range(name, getattr(self, name), 1e-6)
        check_range("theta_quantile", self.theta_quantile, 0.0, 1.0)
        check_range("sigma", self.sigma, 0.0, 1.0)
        check_range("top_k", self.top_k, 1)
        check_range("image_negatives", self.image_negatives, -1)
