"""MGCA (Wang et al. 2022, NeurIPS): alignment of instances, tokens and prototypes.

`L = w_ita L_ITA + w_cta L_CTA + w_cpa L_CPA`: InfoNCE both ways, summed; words with
the patches that they attend to and the mirror, inside one report, weighted by the attention of
[CLS]; codes of one modality's prototypes predict those of the other.

What differs from the source, and why: padding is in no softmax and both context vectors are
normalised (`compatibility="released_code"` brings the released arithmetic back); a word's weight is
its own attention (the released code takes that of the next token, a fault); [SEP] is no word; the
prototypes learn from the first epoch (source: frozen in it) and are brought back to the unit sphere
after each step (source: before it, the same); heads and head norm are those of all rows of a table.
Without [CLS] in the image encoder (ResNet, average-pooled ViT) patches weigh the same.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, required
from sista.errors import check_range
from sista.losses.info_nce import info_nce
from sista.losses.mgca import cpa, cta

Compatibility = Literal["none", "released_code"]
# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "temperature": "w_ita",
    "local_temperature compatibility stop_words": "w_cta",
    "prototype_temperature prototypes epsilon iterations": "w_cpa",
    "head_norm": "w_ita or w_cpa",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of `mgca`.

    Attributes:
        w_ita: weight of the instance level.
        w_cta: weight of the token level (1 in the source's command, 0.7 in its class).
        w_cpa: weight of the prototype level (1 in the source's command, 0.5 in its class).
        temperature: of the instance level, fixed.
        local_temperature: of attention and contrast of the token level, fixed.
        prototype_temperature: of the softmax over prototypes.
        prototypes: their number.
        epsilon: of the Sinkhorn codes.
        iterations: of the Sinkhorn codes.
        compatibility: `released_code` reproduces its padding and contexts.
        stop_words: whether function words count (source: yes).
        width: dimensions of the shared space (source: 128).
        head_norm: norm after the global projections (source: none after a two-layer head).
    """

    w_ita: float = 1.0
    w_cta: float = 1.0
    w_cpa: float = 1.0
    temperature: float = 0.07
    local_temperature: float = 0.1
    prototype_temperature: float = 0.2
    prototypes: int = 500
    epsilon: float = 0.05
    iterations: int = 3
    compatibility: Compatibility = "none"
    stop_words: bool = True
    width: int = 128
    head_norm: HeadNorm = "batch"

    def __post_init__(self) -> None:
        """Refuse what divides by nothing or has no meaning."""
        for name in ("temperature", "local_temperature", "prototype_temperature", "epsilon"):
            check_range(name, getattr(self, name), 1e-6)
        check_range("prototypes", self.prototypes, 1)
        check_range("iterations", self.iterations, 0)


class _Mgca(Objective):
    def __init__(self, settings: Settings) -> None:
        s = self.settings = settings
        super().__init__(
            Needs(
                text=True,
                words=True,
                attention=True,
                stop_words=s.stop_words,
                width=s.width,
                head_norm=s.head_norm,
            )
        )
        self.prototypes = nn.Parameter(F.normalize(torch.randn(s.prototypes, s.width), dim=1))

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the three levels and their weighted sum."""
        s = self.settings
        image, report = required(e.image), required(e.report)
        released = s.compatibility == "released_code"
        # The mean of both directions, doubled: the source adds them.
        ita = 2 * info_nce(image, report, temperature=s.temperature)
        token = cta(
            required(e.patches),
            required(e.words),
            required(e.word_mask),
            temperature=s.local_temperature,
            word_attention=required(e.word_attention),
            patch_attention=e.patch_attention,
            pads_in_softmax=released,
            normalise_patch_context=not released or e.patch_attention is None,
        )
        prototype = cpa(
            image,
            report,
            self.prototypes,
            temperature=s.prototype_temperature,
            epsilon=s.epsilon,
            iterations=s.iterations,
        )
        parts = {"ita": ita, "cta": token["word"] + token["patch"], "cpa": prototype}
        levels = zip((s.w_ita, s.w_cta, s.w_cpa), parts.values(), strict=True)
        return {"loss": sum((w * part for w, part in levels), ita.new_zeros(())), **parts}

    @torch.no_grad()
    def after_step(self, model: nn.Module, progress: float) -> None:
        """Bring the prototypes back to unit length."""
        self.prototypes.copy_(F.normalize(self.prototypes, dim=1))

    def word_patch_weights(self, e: Embedded) -> Tensor | None:
        """Return where each word looks in its own image, `[B, W, P]`."""
        words = F.normalize(required(e.words), dim=-1)
        scores = words @ F.normalize(required(e.patches), dim=-1).transpose(1, 2)
        return (scores / self.settings.local_temperature).softmax(2)


def mgca(**settings: Any) -> Objective:
    """Return MGCA's objective; `Settings` lists the settings."""
    return _Mgca(Settings(**settings))
