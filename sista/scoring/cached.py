"""All metrics of one predictions file, kept under a hash of its content and of the code."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sista import registry, tables
from sista.errors import UserError
from sista.files import LEFTOVER, atomic, digest, sha256
from sista.metrics.values import OVERALL, Value
from sista.runs.arrays import read_arrays
from sista.scoring.evaluate import evaluate
from sista.tasks._base import find_task

Floats = NDArray[np.float64]
# What reading a damaged archive raises.
DAMAGED = (OSError, ValueError, KeyError, TypeError)
# Columns that say what is true of an image, the same in all predictions of a data set.
TRUE = ("image_id", "label", "target")
_KEPT = ("meta", "main", "values", "images")


@dataclass(frozen=True)
class FileScores:
    """What one predictions file gives.

    Attributes:
        sha256: of the file.
        meta: its metadata, with `run`.
        main: the main metric.
        values: one dictionary per fraction, draw, subset, metric and label: value, low, high, n,
            note.
        replicates: bootstrap replicates on test by (metric, fraction, draw), [B]: of the tested
            metrics and of their controls.
        images: names the test images, their patients and true labels; equal = the replicates are
            paired.
    """

    sha256: str
    meta: dict[str, Any]
    main: str
    values: list[dict[str, Any]]
    replicates: dict[tuple[str, int, int], Floats]
    images: str


def score_file(
    path: Path, task: str, *, main: str, bootstrap: int, cache_folder: Path
) -> FileScores:
    """Return the scores of a predictions file, from the cache where nothing has changed.

    Args:
        path: predictions table of this task.
        task: word of the task.
        main: metric of the protocol's main table; the task names another one where the classes
            exclude each other.
        bootstrap: replicates of the intervals.
        cache_folder: where the results are kept.

    Raises:
        UserError: the file is missing or broken.
    """
    if not path.is_file():
        raise UserError(f"{path}: no predictions; run `sista adapt` for it first")
    content = sha256(path)
    key = digest([content, task, main, bootstrap, code_hash(task)])
    kept = cache_folder / f"{key}.npz"
    stored = _load(kept, content)
    if stored is not None:
        return stored
    frame, meta = tables.read(path, f"predictions_{task}")
    try:
        result = _score(path, frame, meta, task, main, content, bootstrap)
    except UserError as error:
        raise error if str(path) in str(error) else UserError(f"{path}: {error}") from error
    _save(kept, result)
    return result


@cache
def code_hash(task: str) -> str:
    """Name the code that decides the values: a change of it makes the cache void."""
    folder = registry.PACKAGE.parent
    own = {*registry.module_sources("sista.scoring.cached"), *registry.sources("tasks", task)}
    files = sorted(own)
    return digest([hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files])


def _score(
    path: Path,
    frame: pd.DataFrame,
    meta: Mapping[str, Any],
    task: str,
    main: str,
    content: str,
    bootstrap: int,
) -> FileScores:
    """Compute the metrics of every subset, fraction and draw."""
    if "run" not in meta:
        raise UserError(f"{path}: no run in its metadata; delete it and run again")
    labels = list(meta.get("labels") or [])
    if not labels and "label" in frame:
        labels = list(dict.fromkeys(frame["label"]))
    multiclass = bool(meta.get("multiclass", False))
    rules = find_task(task)
    main = rules.main_metric(main, multiclass)
    tested = rules.tested(main)
    kept = {*tested, *(c for word in tested for c in rules.metric(word).controls)}
    if not isinstance(meta["run"].get("dataset"), str):
        raise UserError(f"{path}: its run names no data set; delete it and run again")
    dataset = meta["run"]["dataset"]
    values: list[dict[str, Any]] = []
    replicates: dict[tuple[str, int, int], Floats] = {}
    images = set()
    for group, part in frame.groupby(["subset", "fraction", "draw"]):
        subset, fraction, draw = str(group[0]), int(str(group[1])), int(str(group[2]))
        test = subset == "test"
        keys = {"subset": subset, "fraction": fraction, "draw": draw}
        for item in evaluate(
            task,
            part,
            labels=labels,
            multiclass=multiclass,
            dataset=dataset,
            bootstrap=bootstrap if test else 0,
            fraction=fraction,
            only=None if test else main,
        ):
            values.append(keys | _plain(item))
            if test and item.metric in kept and item.label in OVERALL:
                replicates[item.metric, fraction, draw] = item.replicates
        if part["image_id"].nunique() < len(part[["image_id", "patient_id"]].drop_duplicates()):
            raise UserError(f"{path}: an image of two patients; delete it and run again")
        if test:
            names = part[["image_id", "patient_id"]].drop_duplicates().sort_values("image_id")
            # Replicates of two runs may be subtracted only where images, patients and what is true
            # of them are the same.
            images.add(digest([names.to_numpy().tolist(), _truth(part)]))
    if len(images) > 1:
        told = "the test images or their true labels differ between draws"
        raise UserError(f"{path}: {told}; delete it and run again")
    ids = {name: set(frame["image_id"][frame["subset"] == name]) for name in ("val", "test")}
    if both := ids["val"] & ids["test"]:
        told = f"{len(both)} images are of val and of test"
        raise UserError(f"{path}: {told}; delete it and run again")
    return FileScores(content, dict(meta), main, values, replicates, "".join(images))


def _truth(part: pd.DataFrame) -> int:
    """Name what is true of images, whatever the order of the rows; of tasks with such a column."""
    columns = [name for name in TRUE if name in part]
    return int(pd.util.hash_pandas_object(part[columns], index=False).sum())


def _plain(item: Value) -> dict[str, Any]:
    names = ("metric", "label", "value", "low", "high", "n", "note")
    return {name: getattr(item, name) for name in names}


def _save(path: Path, scores: FileScores) -> None:
    text = json.dumps({name: getattr(scores, name) for name in _KEPT})
    arrays: dict[str, NDArray[Any]] = {
        f"{m},{f},{d}": array for (m, f, d), array in scores.replicates.items()
    }
    # JSON as an array of one text: nothing is pickled, so loading runs no code.
    arrays["scores"] = np.array(text)
    with _held(path.parent, fcntl.LOCK_SH), atomic(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def remove_leftovers(cache_folder: Path) -> None:
    """Remove the unfinished files of killed runs, unless another run writes at the moment."""
    with suppress(OSError), _held(cache_folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
        for path in cache_folder.iterdir():
            if LEFTOVER.match(path.name):
                path.unlink(missing_ok=True)


@contextmanager
def _held(folder: Path, how: int) -> Iterator[None]:
    """Hold the lock of a folder; the system gives it back when a process dies.

    Raises:
        BlockingIOError: another process holds it, and `how` does not wait.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, how)
        except OSError:
            # A file system without locks: then nothing is removed.
            if how & fcntl.LOCK_NB:
                raise
        yield
    finally:
        os.close(handle)


def _load(path: Path, content: str) -> FileScores | None:
    """Return kept scores; None where there are none or the file is damaged, it is written anew."""
    try:
        stored = read_arrays(path)
        known = json.loads(str(stored["scores"]))
        names = {name: name.split(",") for name in stored if "," in name}
        replicates = {(m, int(f), int(d)): stored[name] for name, (m, f, d) in names.items()}
        return FileScores(content, replicates=replicates, **known)
    except DAMAGED:
        return None
