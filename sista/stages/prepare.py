"""Stage prepare: a downloaded data set becomes a manifest, one image container and a split.

`FILE.parquet` is the manifest; beside it stand `FILE.images.npy` (uint8 `[N, size, size]`),
`FILE.split.parquet`, `FILE.vocabulary.json`, the word pieces of the training reports, and
`FILE.regions.parquet`, where findings are on the films, as far as the source knows it.
"""

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sista import registry, tables
from sista.datasets._account import files_below, read_all
from sista.datasets._archives import Download, opened
from sista.datasets._card import Dataset
from sista.errors import UserError, warn
from sista.files import atomic, digest, sha256
from sista.metadata import data_reading, data_word
from sista.preparation import splits
from sista.preparation.annotation_extent import check_extent, is_declared
from sista.preparation.annotation_frame import in_film_frame
from sista.preparation.films import Unreadable
from sista.preparation.image_record import ImageRecord
from sista.preparation.labels import apply_policy
from sista.preparation.regions import PHANTOM_TRUTH, read_regions
from sista.preparation.resumed import IMAGES, film_jobs, resumed_films, work_folder
from sista.report.escaping import csv_row
from sista.runs import provenance
from sista.runs.options import Count, Draws, Pixels, Threads
from sista.runs.progress import track
from sista.runs.record import Made, recorded
from sista.text.vocabulary import train_vocabulary

ENDINGS = (".images.npy", ".split.parquet", ".vocabulary.json", ".regions.parquet", ".parquet")


@recorded("prepare")
def prepare(
    word: str,
    *,
    out: Path,
    source: Path | None = None,
    size: Pixels = 256,
    draws: Draws = 5,
    threads: Threads = 1,
    inventory: Path | None = None,
    leave_out: Count = 0,
) -> Made:
    """Read a data set into a manifest, one container of images, a split by patient, a vocabulary.

    Killed and started again it goes on at the film where it was.

    Args:
        word: the data set, e.g. `rsna_pneumonia` (real) or `rsna_pneumonia@phantom`.
        out: the manifest to write, FILE.parquet.
        source: the folder of the download, or the folder that holds it under the data set's word;
            by default the environment variable SISTA_DATA.
        size: side of the prepared square images in pixels.
        draws: number of draws of every label fraction.
        threads: images read at the same time; the result does not depend on it.
        inventory: list of the source's files from `sista fetch`; files it lacks are an error.
        leave_out: prepare the others where at most so many films cannot be read. These are listed
            in FILE.quarantine.csv.

    Raises:
        UserError: names the file and row that is wrong; nothing is written then.
    """
    dataset = _dataset(word, out, source, min(size, draws, threads))
    out.parent.mkdir(parents=True, exist_ok=True)
    with opened(dataset, source, out.parent) as download:
        facts, quarantine = _write(
            word, dataset, download, out, size, draws, threads, inventory, leave_out
        )
    run = {"dataset": word, "size": size, "draws": draws, "split_seed": word}
    outputs = [*(out.with_name(out.stem + end) for end in ENDINGS), *quarantine]
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
    leave_out: int,
) -> tuple[dict[str, Any], list[Path]]:
    """Write all files of a prepared data set, return the facts of the run and the quarantine."""
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
    # Films that other code has read are read again.
    key = f"{word} {release} {provenance.code_version()} {sha256(inventory) if inventory else ''}"
    with work_folder(out) as folder:
        images, split_file, vocabulary, regions, manifest = (folder / name for name in names)
        jobs = film_jobs(records, root, folder, size, dataset.box_tolerance, key)
        with resumed_films(jobs, folder, threads) as results:
            films = list(track(results, f"prepare {word}", len(jobs)))
        quarantine = _quarantine(films, out, leave_out)
        account = account.without(film for film in films if isinstance(film, Unreadable))
        rows = [film for film in films if not isinstance(film, Unreadable)]
        read = [(records[film["row"]], film) for film in rows]
        check_extent(read, declared=is_declared(root, dataset.annotation_side))
        _tell(word, rows)
        known = [(row["image_id"], *region) for row in rows for region in row.pop("regions")]
        frame = _frame(rows, dataset, release)
        split = _split(frame, word, dataset, release, draws)
        tables.write(split.frame, split_file, "split", split.meta)
        vocabulary.write_text(_vocabulary(frame, split.frame))
        tables.write(read_regions(root, frame["image_id"], known), regions, "regions")
        tables.write(frame, manifest, "manifest", _meta(frame, word, dataset, release, size, names))
        os.replace(folder / IMAGES, images)
        # The manifest goes first and comes last: where it stands the others belong to it.
        out.unlink(missing_ok=True)
        for path in (images, split_file, vocabulary, regions, manifest):
            os.replace(path, out.with_name(path.name))
    # Last, below the progress. The phantom's sizes are its own.
    for line in [
        *account.lines(dataset, release, published="@" not in word),
        *filter(None, [scaled]),
    ]:
        warn(f"prepare {word}: {download.shown(line)}")
    facts: dict[str, Any] = {"release": release, "n": len(frame), "split_hash": split.meta["hash"]}
    return facts | {"left_out": account.facts()}, quarantine


def _dataset(word: str, out: Path, source: Path | None, least: int) -> Dataset:
    """Return the data set of a word, after a look at the other arguments."""
    dataset: Dataset = registry.find("datasets", data_word(word)).reading(data_reading(word))
    if out.suffix != ".parquet":
        raise UserError(f"{out}: the manifest's name must end in .parquet")
    if least < 1:
        raise UserError("size, draws and threads must be at least 1")
    if "@" in word and source is None:
        raise UserError(f"{word}: name the folder that `sista fetch {word}` made with --source")
    return dataset


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


def _quarantine(
    films: Sequence[dict[str, Any] | Unreadable], out: Path, leave_out: int
) -> list[Path]:
    """Write the table of the films that cannot be read, and return it where there are any.

    Raises:
        UserError: there are more than may be left out, or no other ones.
    """
    bad = [film for film in films if isinstance(film, Unreadable)]
    table = out.with_name(f"{out.stem}.quarantine.csv")
    if not bad:
        table.unlink(missing_ok=True)
        return []
    with atomic(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "where", "reason"))
        writer.writerows(csv_row((film.path, film.where, film.reason)) for film in bad)
    if len(bad) <= leave_out and len(bad) < len(films):
        warn(f"{table}: {len(bad)} films cannot be read and are left out")
        return [table]
    more = f" All {len(bad)} are listed in {table}." if len(bad) > 1 else ""
    raise UserError(
        f"{bad[0].reason} (named in {bad[0].where}).{more} Get them again, or prepare the others "
        f"with --leave-out {len(bad)}"
    )


def _tell(word: str, rows: list[dict[str, Any]]) -> None:
    """Say what is odd about the data and no error."""
    doubled = sum(row.pop("doubled_boxes") for row in rows)
    if doubled:
        warn(f"{word}: {doubled} boxes stand twice and count once")
    scaled = sum(row.pop("scaled") for row in rows)
    if scaled:
        warn(
            f"{word}: {scaled} films have another size than their annotations, which were scaled, "
            "each side for itself"
        )


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
