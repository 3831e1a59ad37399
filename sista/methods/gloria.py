"""GLoRIA (Huang et al. 2021, ICCV): words attend over patches, for all pairs of the batch.

`L = CE(10 cos) both ways + CE(10 Z) both ways`, with `Z_ij = log sum_l e^{5 cos(c_l, w_l)}`, where
`c_l` mixes the patches of image i that word l of report j looks at (sista/losses/gloria.py).

What differs from the source, and why: words come from the last layer of the text encoder (source:
sum of the last four), patches and the head norm are those of all rows of a table, and training
runs under the common budget. As in the source, [CLS] counts as a word in training and [SEP] does
not, and function words count.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, required
from sista.errors import check_range
from sista.losses.gloria import Aggregate, gloria_attention, gloria_global, gloria_local

# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "attention_scale match_scale aggregate chunk stop_words": "w_local",
    "head_norm": "w_global",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of `gloria`.

    Attributes:
        w_global: weight of the image-report level.
        w_local: weight of the patch-word level.
        attention_scale: temp1 of the source, of the softmax over patches.
        match_scale: temp2 of the source, of the cosines of one pair.
        scale: temp3 of the source, of the logits of both levels.
        aggregate: words of a pair are summed, or averaged.
        chunk: reports compared at a time; changes memory and time only.
        stop_words: whether function words count (source: yes).
        width: dimensions of the shared space (source: 768).
        head_norm: norm after the global projections (source: none).
    """

    w_global: float = 1.0
    w_local: float = 1.0
    attention_scale: float = 4.0
    match_scale: float = 5.0
    scale: float = 10.0
    aggregate: Aggregate = "sum"
    chunk: int = 16
    stop_words: bool = True
    width: int = 128
    head_norm: HeadNorm = "batch"

    def __post_init__(self) -> None:
        """Refuse what compares nothing."""
        check_range("chunk", self.chunk, 1)


class _Gloria(Objective):
    def __init__(self, settings: Settings) -> None:
        s = self.settings = settings
        super().__init__(
            Needs(
                text=True,
                words=True,
                cls_word=True,
                stop_words=s.stop_words,
                width=s.width,
                head_norm=s.head_norm,
            )
        )

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return both levels and their weighted sum."""
        s = self.settings
        whole = gloria_global(required(e.image), required(e.report), scale=s.scale)
        local = gloria_local(
            required(e.patches),
            required(e.words),
            required(e.word_mask),
            counts=required(e.word_count).numpy().tolist(),
            attention_scale=s.attention_scale,
            match_scale=s.match_scale,
            scale=s.scale,
            aggregate=s.aggregate,
            chunk=s.chunk,
        )
        loss = s.w_global * whole + s.w_local * local
        return {"loss": loss, "global": whole, "local": local}

    def word_patch_weights(self, e: Embedded) -> Tensor | None:
        """Return where each word looks in its own image, `[B, W, P]`."""
        return gloria_attention(
            required(e.patches),
            required(e.words),
            required(e.word_mask),
            attention_scale=self.settings.attention_scale,
        )


def gloria(**settings: Any) -> Objective:
    """Return GLoRIA's objective; `Settings` lists the settings."""
    return _Gloria(Settings(**settings))
