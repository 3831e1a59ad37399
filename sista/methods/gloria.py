"""GLoRIA (Huang et al. 2021, ICCV): words attend over patches, for all pairs of the batch.

`L = CE(10 cos) both ways + CE(10 Z) both ways`, with `Z_ij = log sum_l e^{5 cos(c_l, w_l)}`, where
`c_l` mixes the patches of image i that word l of report j looks at (sista/losses/gloria.py).

What differs from the source, and why: words come from the last layer of the text encoder (source:
sum of the last four), patches and the head norm are those of all rows of a table, and training
runs under the common budget. As in the source, [CLS] counts as a word in training and [SEP] does
not, and function words count.
"""

from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, required
from sista.errors import check_range
from sista.losses.gloria import Aggregate, gloria_attention, gloria_global, gloria_local

# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "attention_scale match_scale aggregate chunk stop_words": "w_local",
    "head_norm": "w_global",
}


class _Gloria(Objective):
    def __init__(
        self,
        needs: Needs,
        weights: tuple[float, float],
        scales: tuple[float, float, float],
        aggregate: Aggregate,
        chunk: int,
    ) -> None:
        super().__init__(needs)
        check_range("chunk", chunk, 1)
        self.weights = weights
        self.scales = scales
        self.aggregate: Aggregate = aggregate
        self.chunk = chunk

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return both levels and their weighted sum."""
        attention, match, scale = self.scales
        whole = gloria_global(required(e.image), required(e.report), scale=scale)
        local = gloria_local(
            required(e.patches),
            required(e.words),
            required(e.word_mask),
            counts=required(e.word_count).numpy().tolist(),
            attention_scale=attention,
            match_scale=match,
            scale=scale,
            aggregate=self.aggregate,
            chunk=self.chunk,
        )
        loss = self.weights[0] * whole + self.weights[1] * local
        return {"loss": loss, "global": whole, "local": local}

    def word_patch_weights(self, e: Embedded) -> Tensor | None:
        """Return where each word looks in its own image, `[B, W, P]`."""
        return gloria_attention(
            required(e.patches),
            required(e.words),
            required(e.word_mask),
            attention_scale=self.scales[0],
        )


def gloria(
    *,
    w_global: float = 1.0,
    w_local: float = 1.0,
    attention_scale: float = 4.0,
    match_scale: float = 5.0,
    scale: float = 10.0,
    aggregate: Aggregate = "sum",
    chunk: int = 16,
    stop_words: bool = True,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return GLoRIA's objective.

    Args:
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
    needs = Needs(
        text=True,
        words=True,
        cls_word=True,
        stop_words=stop_words,
        width=width,
        head_norm=head_norm,
    )
    scales = (attention_scale, match_scale, scale)
    return _Gloria(needs, (w_global, w_local), scales, aggregate, chunk)
