"""Prepared data of others: what no single table's contract can say is checked across them."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sista.errors import UserError
from sista.preparation.manifest_checks import check_films, check_names
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
    check_films(manifest, frame, meta)
    for fault in _misplaced(table, split_meta):
        raise UserError(f"{split}: {fault}; {AGAIN}")
    check_apart(split, table, frame)
    if split_hash(table) != split_meta.get("hash"):
        raise UserError(f"{split}: its rows are not those of the hash in its metadata; {AGAIN}")


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
