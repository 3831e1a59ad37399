"""SPARC (Bica et al. 2024): InfoNCE and, inside each report, words against sparse patch mixes."""

import torch
from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.losses.info_nce import info_nce
from sista.losses.sparsify import sparse_weights
from sista.losses.sta import sta

# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "head_norm": "w_global",
    "stop_words": "w_local",
}


class _Sparc(Objective):
    def __init__(self, needs: Needs, w_global: float, w_local: float, temperature: float) -> None:
        super().__init__(needs)
        self.w_global, self.w_local = w_global, w_local
        self.temperature = Temperature(temperature, True)

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return both levels and their weighted sum."""
        temperature = self.temperature()
        level = info_nce(required(e.image), required(e.report), temperature=temperature)
        token = sta(
            required(e.patches), required(e.words), required(e.word_mask), temperature=temperature
        )
        loss = self.w_global * level + self.w_local * token
        return {"loss": loss, "global": level, "sta": token}

    def word_patch_weights(self, e: Embedded) -> Tensor | None:
        """Return the sparse weights of each word over the patches, `[B, W, P]`."""
        scores = required(e.words) @ required(e.patches).transpose(1, 2)
        return sparse_weights(scores, torch.ones_like(scores, dtype=torch.bool))


def sparc(
    *,
    w_global: float = 0.5,
    w_local: float = 0.5,
    temperature: float = 0.07,
    stop_words: bool = True,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return SPARC's objective.

    `w_global InfoNCE + w_local STA` with min-max weights cut at 1/P: the literal form of
    `sista.losses.sta`, repeated words included. One learned temperature serves both levels.
    What differs: words are sums of their pieces, as in every row (source: pieces), and padding
    takes part in nothing (the public code lets it change the temperature).

    Args:
        w_global: weight of InfoNCE (public code x-clip: 0.5).
        w_local: weight of the token level (x-clip: 0.5).
        temperature: first value, learned.
        stop_words: whether function words take part.
        width: dimensions of the shared space.
        head_norm: norm after the global projections (source: none).
    """
    needs = Needs(text=True, words=True, stop_words=stop_words, width=width, head_norm=head_norm)
    return _Sparc(needs, w_global, w_local, temperature)
