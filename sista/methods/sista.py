"""SISTA (arXiv 2601.08165): a reconstruction from its abstract, every open choice a setting.

`L = w_sia L_SIA + w_sta L_STA`: semantic-aware instance alignment leaves reports that say the same
out of the negatives; sparse token alignment lets each word pick few patches.

Settings:
    w_sia: weight of the instance level.
    w_sta: weight of the token level; 0 leaves it out.
    temperature: first value of the instance level (learned unless switched off).
    learn_temperature: whether it is learned.
    sia_mode: reading of SIA; `eliminate` is the abstract's word; `infonce` switches it off.
    theta: reports more similar than this count as saying the same.
    theta_neutral: `attract`: negatives are at most this similar; None = theta.
    soft_temperature: `soft`: temperature of the targets.
    similarity: frozen encoder of the reports.
    r_text: what it looks at; `cleaned` keeps the clauses that state findings.
    local_temperature: of the token level, fixed (SPARC: learned from 0.07).
    sparsify: how a word's scores become few patches (SPARC: minmax).
    sigma: threshold of minmax; None = 1/P.
    top_k: patches that topk keeps.
    directions: who queries: words, patches or both.
    same_word: `ignore`: equal words of a report are no negatives of each other.
    stop_words: whether function words take part.
    image_negatives: other images (whose report lacks it) that each word is compared with;
        0 is the literal form, which can be solved without looking at the image.
    w_report: weight of the contrast inside one report.
    w_images: weight of the contrast across images.
    stop_gradient: no gradient to the query through the weights.
    swap_images: control: the token level sees the image of another patient.
    width: dimensions of the shared space.
    head_norm: norm after the global projections.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.losses.sia import Mode, sia
from sista.losses.sparsify import Sparsify
from sista.losses.sta import Direction, alignment, sta
from sista.losses.sta_images import sta_images

Directions = Literal["word", "patch", "both"]


class _Sista(Objective):
    def __init__(self, needs: Needs, **settings: object) -> None:
        super().__init__(needs)
        for name, value in settings.items():
            setattr(self, name, value)
        self.global_temperature = Temperature(self.temperature, self.learn_temperature)

    w_sia: float
    w_sta: float
    temperature: float
    learn_temperature: bool
    sia_mode: Mode
    theta: float
    theta_neutral: float | None
    soft_temperature: float
    local_temperature: float
    sparsify: Sparsify
    sigma: float | None
    top_k: int
    directions: Directions
    same_word: str
    image_negatives: int
    w_report: float
    w_images: float
    stop_gradient: bool
    swap_images: bool

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return both levels and their weighted sum."""
        instance = sia(
            required(e.image),
            required(e.report),
            required(e.similarity) if e.similarity is not None else torch.empty(0),
            temperature=self.global_temperature(),
            mode=self.sia_mode,
            threshold=self.theta,
            neutral=self.theta_neutral,
            soft_temperature=self.soft_temperature,
        )
        parts = {"loss": self.w_sia * instance, "sia": instance}
        if self.w_sta:
            token = self._tokens(e)
            parts |= token
            parts["loss"] = parts["loss"] + self.w_sta * token["sta"]
        return parts

    def _tokens(self, e: Embedded) -> dict[str, Tensor]:
        patches, words = required(e.patches), required(e.words)
        if self.swap_images:
            patches = patches.roll(1, 0)
        mask, ids = required(e.word_mask), required(e.word_ids)
        form: dict[str, Any] = {
            "temperature": self.local_temperature,
            "sparsify": self.sparsify,
            "sigma": self.sigma,
            "top_k": self.top_k,
            "stop_gradient": self.stop_gradient,
        }
        parts = {}
        total = patches.new_zeros(())
        if self.w_report:
            both: tuple[Direction, ...] = ("word", "patch")
            if self.directions != "both":
                both = (self.directions,)
            distinct = ids if self.same_word == "ignore" else None
            within = sta(patches, words, mask, directions=both, word_ids=distinct, **form)
            parts["sta_report"] = within
            total = total + self.w_report * within
        if self.image_negatives and self.w_images:
            across = sta_images(patches, words, mask, ids, negatives=self.image_negatives, **form)
            parts["sta_images"] = across
            total = total + self.w_images * across
        return {"sta": total, **parts}

    def word_patch_weights(self, e: Embedded) -> Tensor | None:
        """Return the sparse weights of each word over the patches, `[B, W, P]`."""
        if not self.w_sta:
            return None
        patches = required(e.patches)
        every = torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device)
        form: dict[str, Any] = {"sparsify": self.sparsify, "sigma": self.sigma, "top_k": self.top_k}
        return alignment(required(e.words), patches, every, **form)


def sista(
    *,
    w_sia: float = 1.0,
    w_sta: float = 1.0,
    temperature: float = 0.07,
    learn_temperature: bool = True,
    sia_mode: Mode = "eliminate",
    theta: float = 0.9,
    theta_neutral: float | None = None,
    soft_temperature: float = 0.1,
    similarity: Literal["tfidf", "labels"] = "tfidf",
    r_text: Literal["raw", "cleaned"] = "cleaned",
    local_temperature: float = 0.07,
    sparsify: Sparsify = "entmax15",
    sigma: float | None = None,
    top_k: int = 8,
    directions: Directions = "word",
    same_word: Literal["ignore", "keep"] = "ignore",
    stop_words: bool = False,
    image_negatives: int = 4,
    w_report: float = 0.5,
    w_images: float = 1.0,
    stop_gradient: bool = False,
    swap_images: bool = False,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return SISTA's objective as this project reads it; the module lists the settings."""
    settings = dict(locals())
    for name in ("similarity", "r_text", "stop_words", "width", "head_norm"):
        del settings[name]
    needs = Needs(
        text=True,
        words=w_sta != 0,
        similarity="" if sia_mode == "infonce" else similarity,
        r_text=r_text,
        stop_words=stop_words,
        width=width,
        head_norm=head_norm,
    )
    return _Sista(needs, **settings)
