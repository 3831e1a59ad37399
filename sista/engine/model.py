"""Image encoder, report encoder and projections, put together for an objective."""

import torch
from torch import Tensor, nn

from sista.encoders.image import ImageEncoder, normalise
from sista.encoders.text import TextEncoder
from sista.engine.corpus import Batch
from sista.engine.interface import Embedded, Needs


class PretrainModel(nn.Module):
    """Everything that is trained except the objective's own parameters.

    Args:
        image: image encoder.
        text: report encoder, or None.
        needs: of the objective.
        classes: number of finding labels.
    """

    def __init__(
        self, image: ImageEncoder, text: TextEncoder | None, needs: Needs, classes: int
    ) -> None:
        super().__init__()
        self.needs = needs
        self.image = image
        self.text = text
        width = needs.width
        if text is not None:
            self.image_head = _projection(image.dim, width, needs.head_norm)
            self.text_head = _projection(text.dim, width, needs.head_norm)
            if needs.words:
                self.patch_head = nn.Linear(image.map_channels[image.patch_map], width)
                self.word_head = nn.Linear(text.dim, width)
        if needs.labels:
            self.classifier = nn.Linear(image.dim, classes)

    def forward(self, batch: Batch) -> Embedded:
        """Embed a batch as far as the objective needs it."""
        features = self.image(normalise(batch.images, self.image))
        e = Embedded(similarity=batch.similarity if batch.similarity.numel() else None)
        if self.needs.labels:
            e = e._replace(logits=self.classifier(features.pooled), labels=batch.labels)
        if self.text is None:
            return e
        text = self.text(batch.ids, batch.length, batch.widths)
        e = e._replace(image=self.image_head(features.pooled), report=self.text_head(text.pooled))
        if self.needs.words:
            patches = features.maps[self.image.patch_map].flatten(2).transpose(1, 2)
            words = sum_pieces(text.tokens, batch.slot, batch.word_ids.shape[1])
            e = e._replace(
                patches=self.patch_head(patches),
                words=self.word_head(words),
                word_mask=batch.word_ids >= 0,
                word_ids=batch.word_ids,
            )
        return e


def sum_pieces(tokens: Tensor, slot: Tensor, words: int) -> Tensor:
    """Sum the pieces of each word by one indexed add (GLoRIA sums them by a Python loop).

    Args:
        tokens: `[B, T, D]` embeddings of word pieces.
        slot: `[B, T]` word of each piece; `words` for a piece that is dropped.
        words: number of word slots.

    Returns:
        `[B, words, D]`, 0 at unused slots.
    """
    batch, _, width = tokens.shape
    offset = torch.arange(batch, device=tokens.device)[:, None] * (words + 1)
    out = tokens.new_zeros(batch * (words + 1), width)
    out = out.index_add(0, (slot + offset).flatten(), tokens.flatten(0, 1))
    return out.view(batch, words + 1, width)[:, :words]


def _projection(inputs: int, width: int, norm: str) -> nn.Module:
    linear = nn.Linear(inputs, width)
    if norm == "batch":
        return nn.Sequential(linear, nn.BatchNorm1d(width, affine=False))
    if norm == "layer":
        return nn.Sequential(linear, nn.LayerNorm(width, elementwise_affine=False))
    return linear
