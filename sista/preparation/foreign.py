"""Prepared data of others: what no single table's contract can say is checked across them."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sista.errors import UserError
from sista.preparation.labels import POLICIES
from sista.preparation.splits import split_hash, validate_split

AGAIN = "run prepare again"


def check_prepared(
    manifest: Path,
    split: Path,
    frame: pd.DataFrame,
    meta: Mapping[str, Any],
    table: pd.DataFrame,
    split_meta: Mapping[str, Any],
) -> None:
    """Refuse a manifest and a split that do not fit each other, or themselves.

    Args:
        manifest: where the manifest was read.
        split: where the split was read.
        frame: the manifest.
        meta: its metadata.
        table: the split.
        split_meta: its metadata.

    Raises:
        UserError: names file and row: an image, patient or pixel hash in two sets, an image that
            the manifest lacks, rows under another hash, a film outside of its prepared square, ...
    """
    check_names(manifest, meta)
    known = frame[[f"label.{name}" for name in meta["labels"] if f"label.{name}" in frame]]
    if meta.get("multiclass") and (twice := known.eq(1).sum(axis=1).gt(1)).any():
        told = f"row {int(twice.argmax())}: two classes that exclude each other"
        raise UserError(f"{manifest}: {told}; {AGAIN}")
    for fault in _outside(frame, int(meta["prepared_size"])):
        raise UserError(f"{manifest}: {fault}; {AGAIN}")
    for fault in _misplaced(table, split_meta):
        raise UserError(f"{split}: {fault}; {AGAIN}")
    check_apart(split, table, frame)
    if split_hash(table) != split_meta.get("hash"):
        raise UserError(f"{split}: its rows are not those of the hash in its metadata; {AGAIN}")


def check_names(manifest: Path, meta: Mapping[str, Any]) -> None:
    """Refuse label names that stand twice, are empty, or hold control characters, and policies.

    Args:
        manifest: where it was read.
        meta: its metadata.

    Raises:
        UserError: names the list.
    """
    for name in ("labels", "all_labels", "box_labels"):
        words = list(meta.get(name) or [])
        odd = [word for word in words if not (word.isprintable() and 0 < len(word) <= 200)]
        if odd or len({*words}) < len(words):
            told = "a name that is none" if odd else "a name twice"
            raise UserError(f"{manifest}: its metadata, {name}: {told}; {AGAIN}")
    if meta.get("label_policy") not in (None, *POLICIES):
        raise UserError(f"{manifest}: its metadata, label_policy: an unknown one; {AGAIN}")
    for name in ("mask_label", "release"):
        if not str(meta.get(name) or "none").isprintable():
            raise UserError(f"{manifest}: its metadata, {name}: a name that is none; {AGAIN}")


def check_apart(split: Path, table: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Refuse subsets that share an image, a patient or pixels, as `validate_split`.

    Args:
        split: where it was read.
        table: the split.
        frame: columns image_id, patient_id, content_hash.

    Raises:
        UserError: names the file and the ids.
    """
    try:
        validate_split(table, frame)
    except UserError as error:
        raise UserError(f"{split}: {error}") from error


def _outside(frame: pd.DataFrame, prepared: int) -> Iterator[str]:
    """Yield a film that does not lie in the container, or not inside its prepared square."""
    pads = frame[["pad_x", "pad_y"]].to_numpy(float)
    sides = frame[["width", "height"]].to_numpy(float)
    scale = frame[["scale"]].to_numpy(float)
    # As `Frame.fitted` puts a film: its long side fills the square; NaN is near nothing.
    fitted = np.isclose(scale, prepared / sides.max(axis=1, keepdims=True), rtol=1e-6)
    centred = np.abs(pads - (prepared - sides * scale) / 2) <= 1
    good = (fitted & centred).all(axis=1)
    # They are all different, and as many as images in the container.
    if frame["row"].max() >= len(frame):
        yield f"row {int(frame['row'].argmax())}: its place is beyond the images; they are fewer"
    for row in np.flatnonzero(~good)[:1]:
        yield f"row {row}: scale or borders put the film outside of its square of {prepared} px"


def _misplaced(table: pd.DataFrame, meta: Mapping[str, Any]) -> Iterator[str]:
    """Yield the first row of a split in a draw or label fraction that it does not have."""
    train = table["subset"].eq("train")
    shared = table["draw"].eq(-1) & table["fraction"].eq(-1)
    own = table["draw"].between(0, int(meta["draws"]) - 1)
    own &= table["fraction"].isin(list(meta["fractions"]))
    for row in np.flatnonzero(~np.where(train, own, shared))[:1]:
        yield f"row {row}: in a draw or label fraction that this split does not have"
    made = set(zip(table["draw"], table["fraction"], strict=True))
    draws = range(int(meta["draws"]))
    refused = {
        (draw, each["fraction"])
        for each in meta["refused"]
        for draw in (draws if each.get("draw") is None else [each["draw"]])
    }
    if both := sorted(refused & made):
        yield f"{both[0][1]} % of draw {both[0][0]} is refused, but has rows"
    if lost := sorted({*product(draws, meta["fractions"])} - refused - made):
        yield f"{lost[0][1]} % of draw {lost[0][0]} has neither rows nor a reason why not"
