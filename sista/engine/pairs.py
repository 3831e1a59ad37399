"""The studies of one subset of a corpus: manifest rows, labels, and where their images lie."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as pc
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from sista import tables
from sista.engine.corpus import Corpus
from sista.engine.films import Films
from sista.errors import UserError, check_limit, warn
from sista.files import atomic, digest
from sista.metadata import Meta, check_columns, opened, table_metadata
from sista.preparation.foreign import check_apart
from sista.preparation.manifest_checks import check_names
from sista.runs.container import check_container, read_container
from sista.runs.progress import track

Images = TypeVar("Images", bound=NDArray[np.uint8])
# Of a manifest, besides its labels.
READ = ("image_id", "study_id", "row", "report")
# Reduced images of more bytes are kept in a file that all processes share.
IN_MEMORY = 512 << 20
NO_FINDING = "No Finding"
NO_DISEASE = ("Support Devices",)


@dataclass(frozen=True)
class Pairs:
    """Which studies a run uses.

    Attributes:
        frame: manifest rows, with reports where text is needed.
        images: one for each row of the frame.
        labels: `[N, C]` as in the manifest (-1 = uncertain).
        label_names: of the columns.
    """

    frame: pd.DataFrame
    images: Films
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


def load_subsets(corpus: Corpus, *, size: int, text: bool, limit: int = 0) -> tuple[Pairs, Pairs]:
    """Read the training and the validation studies of a corpus; see `load_pairs`.

    Args:
        corpus: prepared.
        size: see `load_pairs`.
        text: see `load_pairs`.
        limit: of training studies.
    """
    manifest = _manifest(corpus)
    _check_apart(corpus, manifest[1])
    form: dict[str, Any] = {"size": size, "text": text, "manifest": manifest}
    train = load_pairs(corpus, subset="train", limit=limit, **form)
    return train, load_pairs(corpus, subset="val", **form)


def load_pairs(
    corpus: Corpus,
    *,
    subset: str,
    size: int,
    text: bool,
    limit: int = 0,
    manifest: tuple[pd.DataFrame, Meta] | None = None,
) -> Pairs:
    """Read the training or validation studies of a corpus.

    Args:
        corpus: prepared.
        subset: `train` or `val`.
        size: side in pixels that the images are reduced to.
        text: leave out studies without a report.
        limit: at most this many (0 = all).
        manifest: where it was read already.

    Raises:
        UserError: no study is left.
    """
    frame, meta = manifest or _manifest(corpus)
    frame = frame[frame["image_id"].isin(_chosen(corpus, subset, meta))]
    if text:
        there = frame["report"].fillna("").str.strip().ne("")
        without = int((~there).sum())
        if without:
            warn(f"left out: {without} of {len(frame)} {subset} studies: no report text")
        frame = frame[there]
    # The number of a study decides its augmentation and its batches: by name, not as prepared.
    frame = frame.sort_values("image_id", ignore_index=True)
    frame = frame.head(limit) if limit else frame
    if frame.empty:
        what = f"{subset} study{' with a report' if text else ''}"
        raise UserError(f"{corpus.manifest}: no {what}; give a corpus that has some")
    return pairs_of(frame, meta, corpus.images, size)


def _manifest(corpus: Corpus) -> tuple[pd.DataFrame, Meta]:
    """Return what training reads of a manifest, and its metadata."""
    meta = tables.read_meta(corpus.manifest, "manifest")
    # Paths, boxes and masks of millions of films are as large as their reports.
    columns = [*READ, *(f"label.{name}" for name in meta["labels"])]
    frame, meta = tables.read(corpus.manifest, "manifest", columns)
    check_container(corpus.images, len(frame), int(meta["prepared_size"]))
    return tables.validate(frame, "manifest", str(corpus.manifest), columns), meta


def _check_apart(corpus: Corpus, meta: Meta) -> None:
    """Refuse a split whose subsets share a patient: its validation would not be one."""
    names = ["image_id", "patient_id", "content_hash"]
    frame, _ = tables.read(corpus.manifest, "manifest", names)
    of_subset = {name: _chosen(corpus, name, meta) for name in tables.SUBSETS}
    # Of the label fractions only the whole: each image once.
    parts = [pd.DataFrame({"subset": name, "image_id": ids}) for name, ids in of_subset.items()]
    check_names(corpus.manifest, meta)
    check_apart(corpus.split, pd.concat(parts).assign(draw=0, fraction=100), frame)


def _chosen(corpus: Corpus, subset: str, meta: Meta) -> NDArray[np.object_]:
    """Return the ids of the images of a subset.

    A split names each training image once for each of its draws and fractions, so it is read piece
    by piece.
    """
    columns = ["subset", "fraction", "image_id"]
    found: list[pyarrow.Array] = []
    with opened(corpus.split) as file:
        of_split = table_metadata(corpus.split, "split", file.metadata)
        if of_split.get("dataset", meta.get("dataset")) != meta.get("dataset"):
            raise UserError(
                f"{corpus.split}: is of data set {of_split['dataset']}, the manifest of "
                f"{meta.get('dataset')}; give the split of that data set"
            )
        check_limit("SISTA_MAX_ROWS", file.metadata.num_rows, f"{corpus.split}")
        check_columns(corpus.split, "split", tables.schema("split").columns, file, some=True)
        for part in file.iter_batches(columns=columns):
            # 100 = all labels of the training studies; -1 = a subset that has no fractions.
            full = pc.is_in(part["fraction"], pyarrow.array([-1, 100], part["fraction"].type))
            wanted = pc.and_(pc.equal(part["subset"], subset), full)
            found.append(part["image_id"].filter(wanted))
    ids: NDArray[np.object_] = pyarrow.chunked_array(found).unique().to_numpy(zero_copy_only=False)
    return ids


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


def read_images(container: Path, rows: NDArray[np.int64], size: int) -> Films:
    """Return images of a container, reduced once with antialiasing where they are larger.

    Args:
        container: of prepared images.
        rows: of the container.
        size: side in pixels.

    Raises:
        UserError: they are smaller; or the reduced ones neither fit into memory nor on disk.
    """
    stored = read_container(container, int(rows.max(initial=-1)))
    if stored.shape[1] < size:
        raise UserError(
            f"{container}: prepared at {stored.shape[1]} px but {size} px are needed; "
            f"run `prepare` with --size {size}"
        )
    if stored.shape[1] == size:
        return Films(stored, rows)
    if len(rows) * size**2 <= IN_MEMORY:
        return Films(_reduced(stored, rows, np.empty((len(rows), size, size), np.uint8)))
    facts = container.stat()
    asked = [size, hashlib.sha256(rows.tobytes()).hexdigest(), facts.st_size, facts.st_mtime_ns]
    path = container.with_name("reduced") / f"{container.stem}.{digest(asked)}.npy"
    if not path.is_file():
        with atomic(path) as temporary:
            room = np.lib.format.open_memmap(temporary, "w+", np.uint8, (len(rows), size, size))
            _reduced(stored, rows, room).flush()
    return Films(read_container(path, len(rows) - 1))


def _reduced(stored: NDArray[np.uint8], rows: NDArray[np.int64], out: Images) -> Images:
    """Write the images of these rows, made smaller, into `out` and return it."""
    size = out.shape[1:]
    for start in track(range(0, len(rows), 64), "reducing images"):
        part = torch.from_numpy(np.asarray(stored[rows[start : start + 64]])).unsqueeze(1)
        # Once here, not in each epoch; antialiased, since a shrunk film has fine lines.
        small = F.interpolate(part.float(), size, mode="bilinear", antialias=True)
        out[start : start + 64] = small.squeeze(1).round_().clamp_(0, 255).to(torch.uint8)
    return out
