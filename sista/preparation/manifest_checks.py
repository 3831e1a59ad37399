"""What the contract of a manifest cannot say: its names, and where its films lie."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sista.errors import UserError
from sista.preparation.labels import POLICIES

AGAIN = "run prepare again"


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


def check_films(manifest: Path, frame: pd.DataFrame, meta: Mapping[str, Any]) -> None:
    """Refuse films beside the container or their square, and classes that exclude each other.

    Args:
        manifest: where it was read.
        frame: the manifest.
        meta: its metadata.

    Raises:
        UserError: names the row.
    """
    known = frame[[f"label.{name}" for name in meta["labels"] if f"label.{name}" in frame]]
    if meta.get("multiclass") and (twice := known.eq(1).sum(axis=1).gt(1)).any():
        told = f"row {int(twice.argmax())}: two classes that exclude each other"
        raise UserError(f"{manifest}: {told}; {AGAIN}")
    for fault in _outside(frame, int(meta["prepared_size"])):
        raise UserError(f"{manifest}: {fault}; {AGAIN}")


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
