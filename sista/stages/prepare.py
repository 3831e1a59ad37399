"""Stage prepare: a downloaded data set becomes a manifest, one image container and a split.

`FILE.parquet` is the manifest; beside it stand `FILE.images.npy` (uint8 `[N, size, size]`),
`FILE.split.parquet`, `FILE.vocabulary.json`, the word pieces of the training reports, and
`FILE.regions.parquet`, where findings are on the films, as far as the source knows it.
"""

import math
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sista import registry, tables
from sista.datasets._account import files_below, read_all
from sista.datasets._archives import Download, opened
from sista.datasets._card import Dataset
from sista.errors import UserError
from sista.files import digest
from sista.preparation import splits
from sista.preparation.annotation_frame import in_film_frame
from sista.preparation.annotations import boxes_to_json, mask_to_json
from sista.preparation.image_record import ImageRecord
from sista.preparation.labels import apply_policy
from sista.preparation.radiograph import fit, load
from sista.preparation.regions import PHANTOM_TRUTH, read_regions
from sista.runs.progress import track
from sista.runs.record import Made, recorded
from sista.runs.workers import worker_pool
from sista.text.vocabulary import train_vocabulary

ENDINGS = (".images.npy", ".split.parquet", ".vocabulary.json", ".regions.parquet", ".parquet")


@dataclass(frozen=True)
class _Job:
    """What a worker needs for one image."""

    row: int
    root: Path
    container: Path
    offset: int
    size: int
    tolerance: float
    record: ImageRecord


@recorded("prepare")
def prepare(
    word: str,
    *,
    out: Path,
    source: Path | None = None,
    size: int = 256,
    draws: int = 5,
    threads: int = 1,
    inventory: Path | None = None,
) -> Made:
    """Read a data set into a manifest, one container of images, a split by patient, a vocabulary.

    Args:
        word: the data set, e.g. `rsna_pneumonia` (real) or `rsna_pneumonia@phantom`.
        out: the manifest to write, FILE.parquet.
        source: the folder of the download, or the folder that holds it under the data set's word;
            by default the environment variable SISTA_DATA.
        size: side of the prepared square images in pixels.
        draws: number of draws of every label fraction.
        threads: images read at the same time; the result does not depend on it.
        inventory: list of the source's files from `sista fetch`; files it lacks are an error.

    Raises:
        UserError: names the file and row that is wrong; nothing is written then.
    """
    _check_words(word, out, source, min(size, draws, threads))
    dataset: Dataset = registry.find("datasets", word.partition("@")[0])
    out.parent.mkdir(parents=True, exist_ok=True)
    with opened(dataset, source, out.parent) as download:
        facts = _write(word, dataset, download, out, size, draws, threads, inventory)
    run = {"dataset": word, "size": size, "draws": draws, "split_seed": word}
    outputs = [out.with_name(out.stem + end) for end in ENDINGS]
    return Made(outputs, [inventory] if inventory else [], run, facts=facts)


def _write(
    word: str,
    dataset: Dataset,
    download: Download,
    out: Path,
    size: int,
    draws: int,
    threads: int,
    inventory: Path | None,
) -> dict[str, Any]:
    """Write all files of a prepared data set, return the facts of the run."""
    root, release = download.root, download.release
    account = read_all(dataset, root)
    records = account.records
    if inventory is not None:
        _check_inventory(records, download, dataset.word, inventory)
    account = account.with_unnamed(files_below(root, links=download.top != download.named))
    scaled = None
    # The phantom draws films of other sizes, with annotations in their own pixels.
    if dataset.annotation_side is not None and not (root / PHANTOM_TRUTH).is_file():
        records, scaled = in_film_frame(records, root, dataset.annotation_side)
    names = [out.stem + end for end in ENDINGS]
    with tempfile.TemporaryDirectory(
        dir=out.parent, prefix=f".{out.stem}.", suffix=".tmp"
    ) as folder:
        images, split_file, vocabulary, regions, manifest = (Path(folder) / name for name in names)
        shape = (len(records), size, size)
        np.lib.format.open_memmap(images, mode="w+", dtype=np.uint8, shape=shape).flush()
        header = images.stat().st_size - math.prod(shape)
        jobs = [
            _Job(row, root, images, header + row * size**2, size, dataset.box_tolerance, record)
            for row, record in enumerate(records)
        ]
        with _results(jobs, threads) as results:
            rows = list(track(results, f"prepare {word}", len(jobs)))
        frame = _frame(rows, dataset, release)
        split = _split(frame, word, dataset, release, draws)
        tables.write(split.frame, split_file, "split", split.meta)
        vocabulary.write_text(_vocabulary(frame, split.frame))
        tables.write(read_regions(root, frame["image_id"]), regions, "regions")
        tables.write(frame, manifest, "manifest", _meta(frame, word, dataset, release, size, names))
        # The manifest goes first and comes last: where it stands the others belong to it.
        out.unlink(missing_ok=True)
        for path in (images, split_file, vocabulary, regions, manifest):
            os.replace(path, out.with_name(path.name))
    # Last, below the progress. The phantom's sizes are its own.
    for line in [
        *account.lines(dataset, release, published="@" not in word),
        *filter(None, [scaled]),
    ]:
        print(f"prepare {word}: {download.shown(line)}", file=sys.stderr)
    facts: dict[str, Any] = {"release": release, "n": len(frame), "split_hash": split.meta["hash"]}
    return facts | {"left_out": account.facts()}


def _check_words(word: str, out: Path, source: Path | None, least: int) -> None:
    registry.path("datasets", word.partition("@")[0])
    if out.suffix != ".parquet":
        raise UserError(f"{out}: the manifest's name must end in .parquet")
    if least < 1:
        raise UserError("size, draws and threads must be at least 1")
    if "@" in word and source is None:
        raise UserError(f"{word}: name the folder that `sista fetch {word}` made with --source")


def _check_inventory(
    records: list[ImageRecord], download: Download, word: str, inventory: Path
) -> None:
    listed, _ = tables.read(inventory, "inventory")
    known = {path.removeprefix(f"{word}/") for path in listed.path}
    for record in records:
        if download.listed_as(record.path) not in known:
            raise UserError(
                f"{record.where}: {record.path} is not in {inventory}; "
                "the source has changed or is not complete: run fetch again"
            )


@contextmanager
def _results(jobs: list[_Job], threads: int) -> Iterator[Iterator[dict[str, Any]]]:
    """Give the prepared rows in order, computed in this process or in `threads` others."""
    if threads == 1:
        yield map(_prepare, jobs)
        return
    # Not `fork`: the progress bar and Arrow run threads, whose locks a fork would copy.
    pool = worker_pool(threads, "forkserver", ["sista.stages.prepare"])
    try:
        yield pool.map(_prepare, jobs, chunksize=8)
    except BrokenProcessPool as error:
        raise UserError("a reading process died (memory?); run again with --threads 1") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(job: _Job) -> dict[str, Any]:
    """Read one image, write its square into the container, return its manifest row."""
    record = job.record
    try:
        film = load(job.root / record.path)
    except UserError as error:
        raise UserError(f"{error} (named in {record.where})") from error
    height, width = film.pixels.shape
    square, frame = fit(film.pixels, job.size)
    # A plain write: syncing a memory map costs more than decoding the film.
    with job.container.open("r+b") as container:
        container.seek(job.offset)
        container.write(square.tobytes())
    return {
        "image_id": record.image_id,
        "patient_id": record.patient_id or film.patient_id or record.image_id,
        "study_id": record.study_id,
        "view": record.view or film.view,
        "path": record.path,
        "row": job.row,
        "height": height,
        "width": width,
        "scale": frame.scale,
        "pad_x": frame.pad_x,
        "pad_y": frame.pad_y,
        "spacing": film.spacing if record.width_mm is None else record.width_mm / width,
        "boxes": boxes_to_json(record, width, height, job.tolerance),
        "mask": mask_to_json(record, job.root, width, height),
        "report": record.report,
        "content_hash": film.content_hash,
        "official": record.official,
        "labels": dict(record.labels),
    }


def _frame(rows: list[dict[str, Any]], dataset: Dataset, release: str) -> pd.DataFrame:
    labels = [row.pop("labels") for row in rows]
    frame = pd.DataFrame(rows)
    frame.insert(list(frame.columns).index("content_hash"), "release", release)
    for name in dataset.columns_of(release):
        frame[f"label.{name}"] = [float(values.get(name, math.nan)) for values in labels]
    return frame


def _split(
    frame: pd.DataFrame, word: str, dataset: Dataset, release: str, draws: int
) -> splits.Split:
    names = dataset.labels_of(release)
    values = apply_policy(
        frame[[f"label.{name}" for name in names]].to_numpy(float), names, dataset.label_policy
    )
    split = splits.make(
        frame,
        word,
        {name: values[:, column] for column, name in enumerate(names)},
        draws=draws,
        val_share=dataset.val_share,
        val_cap=dataset.val_cap,
    )
    splits.validate_split(split.frame, frame)
    return split


def _vocabulary(frame: pd.DataFrame, split: pd.DataFrame) -> str:
    """Return the tokenizer of the training reports as JSON; special tokens only without any."""
    chosen = split.image_id[split.subset.eq("train") & split.fraction.eq(100)]
    reports = frame.report[frame.image_id.isin(chosen) & frame.report.notna()]
    return train_vocabulary(list(reports)).to_str(pretty=True) + "\n"


def _meta(
    frame: pd.DataFrame, word: str, dataset: Dataset, release: str, size: int, names: list[str]
) -> dict[str, Any]:
    columns = [c for c in frame.columns if c not in ("row", "scale", "pad_x", "pad_y")]
    return {
        "dataset": word,
        "release": release,
        "labels": list(dataset.labels_of(release)),
        "all_labels": list(dataset.columns_of(release)),
        "label_policy": dataset.label_policy,
        "mask_label": dataset.mask_label,
        "box_labels": list(dataset.box_labels),
        "multiclass": dataset.multiclass and len(dataset.labels_of(release)) > 1,
        "prepared_size": size,
        "images": names[0],
        "vocabulary": names[2],
        "n": len(frame),
        "expected_n": dataset.counts.get(release),
        "source_hash": digest(frame[columns].to_json(orient="values")),
    }


main = prepare
