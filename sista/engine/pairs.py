"""The studies of one subset of a corpus in memory: manifest rows, images and labels."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from sista import tables
from sista.engine.corpus import Corpus
from sista.errors import UserError
from sista.runs.container import check_container, read_container
from sista.runs.progress import track

NO_FINDING = "No Finding"
NO_DISEASE = ("Support Devices",)


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
        diseases = [n for n, name in enumerate(self.label_names) if name not in NO_DISEASE]
        absent: NDArray[np.bool_] = ~(np.nan_to_num(self.labels[:, diseases]) != 0).any(1)
        return absent


def load_pairs(corpus: Corpus, *, subset: str, size: int, text: bool, limit: int = 0) -> Pairs:
    """Read the training or validation studies of a corpus.

    Args:
        corpus: prepared.
        subset: `train` or `val`.
        size: side in pixels that the images are reduced to.
        text: leave out studies without a report.
        limit: at most this many (0 = all).

    Raises:
        UserError: no study is left.
    """
    frame, meta = tables.read(corpus.manifest, "manifest")
    chosen, of_split = tables.read(corpus.split, "split")
    if of_split.get("dataset", meta.get("dataset")) != meta.get("dataset"):
        raise UserError(
            f"{corpus.split}: is of data set {of_split['dataset']}, the manifest of "
            f"{meta.get('dataset')}; give the split of that data set"
        )
    check_container(corpus.images, len(frame), int(meta["prepared_size"]))
    # 100 = all labels of the training studies; -1 = a subset that has no fractions.
    full = chosen["subset"].eq(subset) & chosen["fraction"].isin((-1, 100))
    wanted = set(chosen.loc[full, "image_id"])
    frame = frame[frame["image_id"].isin(wanted)]
    if text:
        without = int(frame["report"].isna().sum())
        if without:
            print(
                f"left out: {without} of {len(frame)} {subset} studies: no report text",
                file=sys.stderr,
            )
        frame = frame[frame["report"].notna()]
    # The number of a study decides its augmentation and its batches: by name, not as prepared.
    frame = frame.sort_values("image_id", ignore_index=True)
    frame = frame.head(limit) if limit else frame
    if frame.empty:
        what = f"{subset} study{' with a report' if text else ''}"
        raise UserError(f"{corpus.manifest}: no {what}; give a corpus that has some")
    return pairs_of(frame, meta, corpus.images, size)


def pairs_of(frame: pd.DataFrame, meta: Mapping[str, Any], container: Path, size: int) -> Pairs:
    """Return chosen rows of a manifest with their images and labels.

    Args:
        frame: the rows, in order.
        meta: the manifest's metadata.
        container: of its images.
        size: side in pixels that the images are reduced to.
    """
    names = tuple(str(name) for name in meta["labels"])
    labels = frame[[f"label.{name}" for name in names]].to_numpy(np.float64)
    return Pairs(frame, read_images(container, frame["row"].to_numpy(), size), labels, names)


def read_images(container: Path, rows: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Return images `[N, size, size]` of a container, reduced once with antialiasing."""
    stored = read_container(container, int(rows.max(initial=-1)))
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
        # Once here, not in each epoch; antialiased, since a shrunk film has fine lines.
        small = F.interpolate(part.float(), (size, size), mode="bilinear", antialias=True)
        reduced[start : start + 64] = small.squeeze(1).round_().clamp_(0, 255).to(torch.uint8)
    return reduced
