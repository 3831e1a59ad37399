"""The corpus in memory: images, tokens, labels and report vectors, and batches made of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from sista import tables
from sista.encoders.chunks import ReportChunk, length_chunks
from sista.engine.randomness import uniform
from sista.files import UserError
from sista.progress import track
from sista.reports.vocabulary import TokenTable

# As the family: 256 px with a random crop of 224.
CROP = 224 / 256
NO_FINDING = "No Finding"
NO_DISEASE = ("Support Devices",)


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


@dataclass(frozen=True)
class Pairs:
    """Which studies a run uses.

    Attributes:
        frame: manifest rows, with reports where text is needed.
        images: uint8 `[N, S, S]`, one for each row of the frame.
        labels: `[N, C]` as in the manifest (-1 = uncertain).
        label_names: of the columns.
    """

    frame: pd.DataFrame
    images: NDArray[np.uint8]
    labels: NDArray[np.float64]
    label_names: tuple[str, ...]

    @cached_property
    def normal(self) -> NDArray[np.bool_]:
        """Which studies have no finding, `[N]`: by the label that says so, else no label at all."""
        if NO_FINDING in self.label_names:
            marked: NDArray[np.bool_] = self.labels[:, self.label_names.index(NO_FINDING)] == 1
            return marked
        found = [n for n, name in enumerate(self.label_names) if name not in NO_DISEASE]
        absent: NDArray[np.bool_] = ~(np.nan_to_num(self.labels[:, found]) != 0).any(1)
        return absent


def load_pairs(
    manifest: Path, split: Path, *, subset: str, size: int, text: bool, limit: int = 0
) -> Pairs:
    """Read the training or validation studies of a corpus.

    Args:
        manifest: of the prepared corpus; its image container lies beside it.
        split: of the same data set.
        subset: `train` or `val`.
        size: side in pixels that the images are reduced to.
        text: leave out studies without a report.
        limit: at most this many (0 = all).

    Raises:
        UserError: no study is left.
    """
    frame, meta = tables.read(manifest, "manifest")
    chosen, _ = tables.read(split, "split")
    full = chosen["subset"].eq(subset) & chosen["fraction"].isin((-1, 100))
    wanted = set(chosen.loc[full, "image_id"])
    frame = frame[frame["image_id"].isin(wanted)]
    if text:
        frame = frame[frame["report"].notna()]
    frame = frame.sort_values("image_id", ignore_index=True)
    frame = frame.head(limit) if limit else frame
    if frame.empty:
        raise UserError(f"{manifest}: no {subset} study{' with a report' if text else ''}")
    names = tuple(str(name) for name in meta["labels"])
    labels = frame[[f"label.{name}" for name in names]].to_numpy(np.float64)
    container = manifest.with_name(meta["images"])
    return Pairs(frame, read_images(container, frame["row"].to_numpy(), size), labels, names)


def read_images(container: Path, rows: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Return images `[N, size, size]` of a container, reduced once with antialiasing."""
    stored = np.load(container, mmap_mode="r")
    if stored.shape[1] < size:
        raise UserError(
            f"{container}: prepared at {stored.shape[1]} px but {size} px are needed; "
            f"run `prepare` with --size {size}"
        )
    if stored.shape[1] == size:
        return np.asarray(stored[rows])
    reduced = np.empty((len(rows), size, size), np.uint8)
    for start in track(range(0, len(rows), 64), "reducing images"):
        part = torch.from_numpy(np.asarray(stored[rows[start : start + 64]])).unsqueeze(1)
        small = F.interpolate(part.float(), (size, size), mode="bilinear", antialias=True)
        reduced[start : start + 64] = small.squeeze(1).round_().clamp_(0, 255).to(torch.uint8)
    return reduced


def augment(
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    *,
    side: int,
    seed: int,
    epoch: int,
    flip: bool,
) -> Tensor:
    """Return random crops with random brightness and contrast, float `[B, side, side]`.

    Args:
        images: `[N, S, S]` with S >= side.
        rows: the images of this batch.
        side: of the crop in pixels.
        seed: of the run.
        epoch: another draw in every epoch.
        flip: also mirror half of them.
    """
    draw = uniform(seed, epoch, rows, 5)
    room = images.shape[1] - side
    corner = (draw[:, :2] * (room + 1)).astype(np.int64)
    crops = np.empty((len(rows), side, side), np.uint8)
    # One block at a time is copied five times faster than all by an index of each pixel.
    for n, (row, (top, left)) in enumerate(zip(rows, corner, strict=True)):
        crop = images[row, top : top + side, left : left + side]
        crops[n] = crop[:, ::-1] if flip and draw[n, 4] < 0.5 else crop
    out = torch.from_numpy(crops).float()
    contrast = torch.from_numpy(0.8 + 0.4 * draw[:, 2]).float()[:, None, None]
    brightness = torch.from_numpy(51.0 * (draw[:, 3] - 0.5)).float()[:, None, None]
    mean = out.mean((1, 2), keepdim=True)
    return out.sub_(mean).mul_(contrast).add_(mean + brightness).clamp_(0.0, 255.0)


def centre(images: NDArray[np.uint8], rows: NDArray[np.int64], side: int) -> Tensor:
    """Return central crops, float `[B, side, side]`."""
    start = (images.shape[1] - side) // 2
    return torch.from_numpy(
        images[rows, start : start + side, start : start + side].astype(np.float32)
    )


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
    wide = int(table.length[every].max())
    counts = (table.word_ids[rows] >= 0).sum(1)
    words = max(int((table.word_ids[every] >= 0).sum(1).max()), 1)
    pieces = table.sentence_pieces[rows]
    sentences = max(int((table.sentence_pieces[every] > 0).sum(1).max()), 1)

    def moved(part: NDArray[np.int32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(part)).long().to(device)

    # Dropped pieces point at the last slot, whatever the width of this batch.
    return TokenBatch(
        ids=moved(table.ids[rows, :wide]),
        length=moved(length),
        chunks=length_chunks(length),
        slot=moved(np.minimum(table.slot[rows, :wide], words)),
        word_ids=moved(table.word_ids[rows, :words]),
        word_count=torch.from_numpy(counts),
        sentence=moved(np.minimum(table.sentence[rows, :wide], sentences)),
        sentence_pieces=moved(pieces[:, :sentences]),
    )
