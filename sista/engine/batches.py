"""Batches of pairs on the device: images as drawn, tokens, labels, report similarity."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sista.encoders.chunks import ReportChunk, length_chunks
from sista.text.vocabulary import TokenTable


class Batch(NamedTuple):
    """B pairs on the device.

    Attributes:
        images: `[B, S, S]` float in [0, 255].
        ids: `[B, T]` word pieces.
        length: `[B]` real tokens.
        chunks: which reports are encoded together.
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
    chunks: tuple[ReportChunk, ...]
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
        chosen["chunks"] = length_chunks(batch.length[rows].cpu().numpy())
    return Batch(**chosen)


class TokenBatch(NamedTuple):
    """The tokens of a batch; `Batch` describes the parts."""

    ids: Tensor
    length: Tensor
    chunks: tuple[ReportChunk, ...]
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
) -> TokenBatch:
    """Return the tokens of some reports, cut to the longest of them.

    Args:
        table: tokens of all reports.
        rows: reports.
        device: of the model.
        among: reports that they shall be as wide as, so that parts of a batch fit together; by
            default themselves.
    """
    if table is None:
        empty = torch.empty(0, dtype=torch.long, device=device)
        return TokenBatch(empty, empty, (), *(empty,) * 5)
    every = rows if among is None else among
    length = table.length[rows]
    # Parts of a contrastive batch are joined along their rows, so all are as wide as its longest.
    wide = int(table.length[every].max())
    counts = (table.word_ids[rows] >= 0).sum(1)
    words = max(int((table.word_ids[every] >= 0).sum(1).max()), 1)
    pieces = table.sentence_pieces[rows]
    sentences = max(int((table.sentence_pieces[every] > 0).sum(1).max()), 1)

    def moved(part: NDArray[np.int32]) -> Tensor:
        # The table of a whole corpus is int32, for half of the memory; a batch is small.
        return torch.from_numpy(np.ascontiguousarray(part)).long().to(device)

    # Dropped pieces point at the last slot, whatever the width of this batch.
    return TokenBatch(
        ids=moved(table.ids[rows, :wide]),
        length=moved(length),
        chunks=length_chunks(length),
        slot=moved(np.minimum(table.slot[rows, :wide], words)),
        word_ids=moved(table.word_ids[rows, :words]),
        # Objectives read these as numbers; from the device each would be a wait.
        word_count=torch.from_numpy(counts),
        sentence=moved(np.minimum(table.sentence[rows, :wide], sentences)),
        sentence_pieces=moved(pieces[:, :sentences]),
    )
