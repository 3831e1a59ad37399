"""Checks of predictions that a column's type cannot say: whole tables of labels, JSON in cells."""

import json
import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from sista.errors import UserError, shown
from sista.tasks._arrays import AGAIN

# Values of a box without a score.
PLAIN = 5


def check_labels(rows: pd.DataFrame, labels: Iterable[str]) -> None:
    """Refuse rows in which not every image has each label, and no other one.

    Raises:
        UserError: names the label.
    """
    images, counts = rows["image_id"].nunique(), rows["label"].value_counts()
    if unknown := sorted({*rows["label"]} - set(labels)):
        raise UserError(f"label {shown(unknown[0])}: not among those of the metadata; {AGAIN}")
    for label in labels:
        if counts.get(label, 0) != images:
            has = counts.get(label, 0)
            raise UserError(f"label {label!r}: {has} rows of {images} images; {AGAIN}")


def read_boxes(cells: Iterable[str], form: str) -> list[list[list[Any]]]:
    """Return the boxes of each image.

    Args:
        cells: JSON lists of boxes.
        form: of a box, its last value the label, e.g. `x y w h label`.

    Raises:
        UserError: a cell is no such list, or a box has no finite place.
    """
    return [_boxes(cell, len(form.split()), form) for cell in cells]


def _boxes(cell: str, length: int, form: str) -> list[list[Any]]:
    boxes = read_list(cell)
    for box in boxes:
        fits = isinstance(box, list) and len(box) == length and isinstance(box[-1], str)
        if not fits or not all(is_number(v) for v in box[:-1]) or min(box[2:4]) < 0:
            raise UserError(f"a box that is no list of {form}; {AGAIN}")
        if length > PLAIN and not 0 <= box[PLAIN - 1] <= 1:
            raise UserError(f"a box whose score is none from 0 to 1; {AGAIN}")
    return boxes


def read_list(cell: str) -> list[Any]:
    """Return a JSON list.

    Raises:
        UserError: the text is none.
    """
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise UserError(f"a cell that is no JSON; {AGAIN}") from error
    if not isinstance(values, list):
        raise UserError(f"a cell that is no JSON list; {AGAIN}")
    return values


def is_number(value: object) -> bool:
    """Return whether a JSON value is a finite number of the size of an image or less."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and -1e9 < value < 1e9 and math.isfinite(value)  # type: ignore[operator, arg-type]
