"""What an audit looks at: a data set as prepared, or as downloaded and read for this."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
from numpy.typing import NDArray

from sista import registry, tables
from sista.datasets._account import read_all
from sista.datasets._archives import opened
from sista.datasets._card import Dataset
from sista.errors import UserError
from sista.metadata import data_reading, data_word
from sista.preparation.annotation_extent import check_extent, is_declared
from sista.preparation.annotation_frame import in_film_frame, in_native_pixels
from sista.preparation.annotations import mask_to_json
from sista.preparation.films import Film, FilmJob, Unreadable, read_film, read_films
from sista.preparation.image_record import ImageRecord
from sista.preparation.list_names import NameIndex, first_cell, read_list
from sista.preparation.masks import MaskSource
from sista.preparation.radiograph import is_dicom
from sista.preparation.regions import PHANTOM_TRUTH
from sista.runs.progress import track
from sista.tables import SUBSETS

# Enough for a thumbnail and a border strip.
SIDE = 64
SCANNER = ("Manufacturer", "ManufacturerModelName")


@dataclass(frozen=True)
class Subject:
    """A data set under audit.

    Attributes:
        name: its word, or its file.
        frame: columns of a manifest; of a raw data set boxes are as its tables say, not cut.
        container: its prepared images; None = none is there.
        subsets: rows of `frame` by subset or list.
        fractions: rows of `frame` by draw, then percent of the training images.
        multiclass: exactly one label is true per image.
        mask_label: what masks show.
        scanner: of each film, None = unknown.
        unmatched: by list, names that no image has.
        faults: by check, image ids and words for what is wrong, found while reading.
    """

    name: str
    frame: pd.DataFrame
    container: Path | None
    subsets: Mapping[str, NDArray[np.intp]]
    fractions: Mapping[str, Mapping[int, NDArray[np.intp]]] = field(default_factory=dict)
    multiclass: bool = False
    mask_label: str | None = None
    scanner: Sequence[str | None] = ()
    unmatched: Mapping[str, list[str]] = field(default_factory=dict)
    faults: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Return the findings that have a column."""
        names = [str(column) for column in self.frame]
        return [name.removeprefix("label.") for name in names if name.startswith("label.")]

    def values(self, label: str) -> NDArray[np.float64]:
        """Return 1, 0, -1 or NaN of a finding, `[N]`."""
        return self.frame[f"label.{label}"].to_numpy(float)


def prepared(manifest: Path, lists: Mapping[str, Path]) -> Subject:
    """Return a prepared data set, in the subsets of the lists, or else of its own split.

    Raises:
        UserError: a file is missing, damaged or not of its kind.
    """
    frame, meta = tables.read(manifest, "manifest")
    container = manifest.with_name(str(meta.get("images", f"{manifest.stem}.images.npy")))
    form: dict[str, Any] = {
        "multiclass": bool(meta.get("multiclass")),
        "mask_label": meta.get("mask_label"),
    }
    subject = Subject(
        str(meta.get("dataset", manifest.stem)),
        frame,
        container if container.is_file() else None,
        {},
        scanner=(None,) * len(frame),
        **form,
    )
    if lists:
        return in_lists(subject, lists)
    file = manifest.with_suffix(".split.parquet")
    if not file.is_file():
        return replace(subject, subsets=_official(frame))
    split, _ = tables.read(file, "split")
    return in_split(subject, split)


def in_split(subject: Subject, split: pd.DataFrame) -> Subject:
    """Return a subject in the subsets and fractions of a split table."""
    known = pd.Index(subject.frame["image_id"])
    rows = known.get_indexer(split["image_id"])
    lost = sorted(set(split["image_id"][rows < 0]))
    split, rows = split[rows >= 0], rows[rows >= 0]
    subset = split["subset"].to_numpy(dtype=object)
    draw, fraction = split["draw"].to_numpy(), split["fraction"].to_numpy()
    subsets = {name: np.unique(rows[subset == name]) for name in SUBSETS if (subset == name).any()}
    fractions = {
        f"draw {number}": {
            int(share): rows[inside & (fraction == share)] for share in np.unique(fraction[inside])
        }
        for number in np.unique(draw[subset == "train"])
        if (inside := (subset == "train") & (draw == number)).any()
    }
    unmatched = {"split": lost} if lost else {}
    return replace(subject, subsets=subsets, fractions=fractions, unmatched=unmatched)


def in_lists(subject: Subject, lists: Mapping[str, Path]) -> Subject:
    """Return a subject in the subsets of anybody's list files.

    `train_1`, `train_10` ... are fractions of `train`; any other name is a subset.

    Raises:
        UserError: a list is missing or names nothing.
    """
    index = NameIndex(subject.frame)
    row_of = {image: row for row, image in enumerate(subject.frame["image_id"])}
    found: dict[str, NDArray[np.intp]] = {}
    unmatched: dict[str, list[str]] = {}
    twice: list[tuple[str, str]] = []
    for name, file in lists.items():
        entries = read_list(file, index)
        images = [index.find(entry) for entry in entries]
        unmatched[name] = [
            first_cell(entry) for entry, i in zip(entries, images, strict=True) if i is None
        ]
        rows = np.array([row_of[image] for image in images if image is not None], dtype=np.intp)
        once, times = np.unique(rows, return_counts=True)
        repeated = subject.frame["image_id"].to_numpy(dtype=object)[once[times > 1]]
        twice += [(image, f"stands more than once in {name}") for image in repeated]
        found[name] = once
    shares = {int(n[6:]): n for n in found if n.startswith("train_") and n[6:].isdigit()}
    subsets = {name: rows for name, rows in found.items() if name not in shares.values()}
    ladder = {share: found[name] for share, name in shares.items()}
    if "train" in found:
        ladder.setdefault(100, found["train"])
    elif shares:
        subsets = {"train": ladder[max(shares)], **subsets}
    fractions = {"lists": ladder} if shares else {}
    faults = {**subject.faults, "listed_twice": twice}
    unmatched = {name: lost for name, lost in unmatched.items() if lost}
    return replace(
        subject, subsets=subsets, fractions=fractions, unmatched=unmatched, faults=faults
    )


def _official(frame: pd.DataFrame) -> dict[str, NDArray[np.intp]]:
    given = frame["official"].to_numpy(dtype=object)
    return {name: np.flatnonzero(given == name) for name in SUBSETS if (given == name).any()}


def downloaded(
    word: str, source: Path | None, scratch: Path, threads: int, lists: Mapping[str, Path]
) -> Subject:
    """Read a download as `prepare` does, and keep what `prepare` would refuse.

    Args:
        word: of the data set.
        source: see `Dataset.find`.
        scratch: existing folder for small copies of the films.
        threads: films read at the same time.
        lists: list files by name; none = the sets that the source gives.

    Raises:
        UserError: the tables cannot be read, or no film.
    """
    dataset: Dataset = registry.find("datasets", data_word(word)).reading(data_reading(word))
    faults: dict[str, list[tuple[str, str]]] = {}
    with opened(dataset, source, scratch) as download:
        root, release = download.root, download.release
        records = read_all(dataset, root).records
        if dataset.annotation_side is not None and not (root / PHANTOM_TRUTH).is_file():
            try:
                records, _ = in_film_frame(records, root, dataset.annotation_side)
            except UserError as error:
                faults["annotation_frame"] = [("", download.shown(str(error)))]
        container = scratch / "audit.images.npy"
        shape = (len(records), SIDE, SIDE)
        np.lib.format.open_memmap(container, mode="w+", dtype=np.uint8, shape=shape).flush()
        start = container.stat().st_size - math.prod(shape)
        jobs = [
            FilmJob(row, root, container, start + row * SIDE**2, SIDE, math.inf, record)
            for row, record in enumerate(records)
        ]
        with read_films(jobs, threads, examine) as results:
            films = list(track(results, f"audit {word}", len(jobs)))
        rows = _readable(films, faults)
        try:
            read = [(records[row["row"]], row) for row in rows]
            check_extent(read, declared=is_declared(root, dataset.annotation_side))
        except UserError as error:
            faults.setdefault("annotation_frame", []).append(("", download.shown(str(error))))
    if not rows:
        raise UserError(f"{word}: none of its {len(films)} films can be read")
    labels = [row.pop("labels") for row in rows]
    scanner = [row.pop("scanner") for row in rows]
    frame = pd.DataFrame(rows)
    for name in dataset.columns_of(release):
        frame[f"label.{name}"] = [float(values.get(name, math.nan)) for values in labels]
    multiclass = dataset.multiclass and len(dataset.labels_of(release)) > 1
    subject = Subject(
        word,
        frame,
        container,
        _official(frame),
        multiclass=multiclass,
        mask_label=dataset.mask_label,
        scanner=scanner,
        faults=faults,
    )
    return in_lists(subject, lists) if lists else subject


def _readable(
    films: Sequence[Film], faults: dict[str, list[tuple[str, str]]]
) -> list[dict[str, Any]]:
    """Return the rows of the films that were read, and add to the faults what was wrong."""
    rows: list[dict[str, Any]] = []
    for film in films:
        if isinstance(film, Unreadable):
            faults.setdefault("unreadable", []).append((film.path, film.reason))
        else:
            for fault in film.pop("faults"):
                faults.setdefault("mask_unusable", []).append((film["image_id"], fault))
            rows.append(film)
    return rows


def examine(job: FilmJob) -> Film:
    """Read a film for an audit: its boxes as they are told, its mask as far as it can be drawn."""
    record: ImageRecord = job.record
    film = read_film(replace(job, record=replace(record, boxes=None, mask=None, regions={})))
    if isinstance(film, Unreadable):
        return film
    del film["regions"]
    film["faults"] = []
    boxes = in_native_pixels(record, film["width"], film["height"]).boxes
    if boxes is not None:
        film["boxes"] = json.dumps(
            [{"label": b.label, "x": b.x, "y": b.y, "w": b.w, "h": b.h} for b in boxes]
        )
    mask: MaskSource | None = record.mask
    if mask is not None:
        try:
            film["mask"] = mask_to_json(record, job.root, film["width"], film["height"])
        except UserError as error:
            film["faults"].append(str(error))
    film["scanner"] = _scanner(job.root / record.path) if is_dicom(record.path) else None
    return film


def _scanner(path: Path) -> str | None:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(SCANNER))
        words = [str(header.get(name) or "").strip() for name in SCANNER]
    except Exception:  # a film that was read before; what its header raises does not matter here
        return None
    return " ".join(word for word in words if word) or None
