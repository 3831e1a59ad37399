"""Batches of pairs on the device: images as drawn, tokens, labels, report similarity."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sista.encoders.chunks import ReportChunk, length_chunks
from sista.encoders.packing import Packed, pack, padded_width
from sista.runs.feeding import moved
from sista.text.vocabulary import TokenTable


class Batch(NamedTuple):
    """B pairs on the device.

    Attributes:
        images: `[B, S, S]` float in [0, 255].
        ids: `[B, T]` word pieces.
        length: `[B]` real tokens.
        chunks: which reports are encoded together, or where their tokens lie in one row.
        slot: `[B, T]` word of each piece.
        word_ids: `[B, W]` number of each word, -1 at padding.
        word_count: `[B]` words of each report, always on the host.
        sentence: `[B, T]` sentence of each piece, S for pieces of none.
        sentence_pieces: `[B, S]` pieces of each sentence, 0 at padding.
        labels: `[B, C]`.
        similarity: `[B, B]` or empty.
        rows: `[B]` number of each study in its subset.
        second: `[B, S, S]` another view of each image.
        boxes: `[B, 2, 5]` where the views lie, see `Views`.
        normal: `[B]` bool, studies without a finding.
    """

    images: Tensor
    ids: Tensor
    length: Tensor
    chunks: tuple[ReportChunk, ...] | Packed
    slot: Tensor
    word_ids: Tensor
    word_count: Tensor
    sentence: Tensor
    sentence_pieces: Tensor
    labels: Tensor
    similarity: Tensor
    rows: Tensor | None = None
    second: Tensor | None = None
    boxes: Tensor | None = None
    normal: Tensor | None = None


def part(batch: Batch, rows: slice) -> Batch:
    """Return some studies of a batch, as wide as the batch; similarity is that among them.

    Args:
        batch: of B studies.
        rows: which of them.
    """
    whole = len(batch.images)
    if (rows.start or 0) == 0 and (rows.stop is None or rows.stop >= whole):
        return batch
    chosen: dict[str, Any] = {}
    for name, value in batch._asdict().items():
        # Methods without text have empty tokens.
        fits = isinstance(value, Tensor) and len(value) == whole
        chosen[name] = value[rows] if fits else value
    if batch.similarity.numel():
        chosen["similarity"] = batch.similarity[rows, rows]
    if batch.ids.numel():
        length = batch.length[rows].cpu().numpy()
        chosen["chunks"] = _together(
            length, batch.ids.shape[1], batch.ids.device, isinstance(batch.chunks, Packed)
        )
    return Batch(**chosen)


class TokenBatch(NamedTuple):
    """The tokens of a batch; `Batch` describes the parts."""

    ids: Tensor
    length: Tensor
    chunks: tuple[ReportChunk, ...] | Packed
    slot: Tensor
    word_ids: Tensor
    word_count: Tensor
    sentence: Tensor
    sentence_pieces: Tensor


def token_batch(
    table: TokenTable | None,
    rows: NDArray[np.int64],
    device: torch.device,
    among: NDArray[np.int64] | None = None,
    packed: bool | None = None,
) -> TokenBatch:
    """Return the tokens of some reports, cut to the longest of them.

    Args:
        table: tokens of all reports.
        rows: reports.
        device: of the model.
        among: reports that they shall be as wide as, so that parts of a batch fit together; by
            default themselves.
        packed: their tokens come in one row; None = where the device is no CPU, which is faster
            with pieces by length.
    """
    if table is None:
        empty = torch.empty(0, dtype=torch.long, device=device)
        return TokenBatch(empty, empty, (), *(empty,) * 5)
    every = rows if among is None else among
    length = table.length[rows]
    packed = device.type != "cpu" if packed is None else packed
    # Parts of a contrastive batch are joined along their rows, so all are as wide as its longest.
    longest = int(table.length[every].max())
    wide = padded_width(longest) if packed else longest
    counts = (table.word_ids[rows] >= 0).sum(1)
    words = max(int((table.word_ids[every] >= 0).sum(1).max()), 1)
    pieces = table.sentence_pieces[rows]
    sentences = max(int((table.sentence_pieces[every] > 0).sum(1).max()), 1)

    def sent(part: NDArray[np.integer]) -> Tensor:
        # The table of a whole corpus has small numbers, for less memory; a batch is small.
        return moved(part.astype(np.int64), device)

    def of_tokens(cut: NDArray[np.integer], filling: int) -> Tensor:
        return sent(np.pad(cut, ((0, 0), (0, wide - cut.shape[1])), constant_values=filling))

    # Dropped pieces point at the last slot, whatever the width of this batch.
    return TokenBatch(
        ids=of_tokens(table.ids[rows, :wide], 0),
        length=sent(length),
        chunks=_together(length, wide, device, packed),
        slot=of_tokens(np.minimum(table.slot[rows, :wide], words), words),
        word_ids=sent(table.word_ids[rows, :words]),
        # Objectives read these as numbers; from the device each would be a wait.
        word_count=torch.from_numpy(counts),
        sentence=of_tokens(np.minimum(table.sentence[rows, :wide], sentences), sentences),
        sentence_pieces=sent(pieces[:, :sentences]),
    )


def _together(
    length: NDArray[np.integer], wide: int, device: torch.device, packed: bool
) -> tuple[ReportChunk, ...] | Packed:
    if packed:
        return pack(length, wide, lambda part: moved(part, device))
    return length_chunks(length)
