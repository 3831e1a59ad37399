"""Boxes and masks of a film as the manifest keeps them, checked against the film."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sista.errors import UserError
from sista.preparation import masks
from sista.preparation.image_record import Box, ImageRecord

KEYS = ("label", "x", "y", "w", "h")
# Pixels.
ROUNDED = 1e-3


def boxes_to_json(
    record: ImageRecord, width: int, height: int, tolerance: float
) -> tuple[str | None, int]:
    """Return the boxes of a film as JSON, each once and cut, and how many stood twice.

    They are None where the film was not annotated.

    Args:
        record: the film.
        width: of the film in pixels.
        height: of the film in pixels.
        tolerance: pixels that a box may leave the film by.

    Raises:
        UserError: a box leaves the film by more or is empty; its file and row are named.
    """
    if record.boxes is None:
        return None, 0
    once = list(dict.fromkeys(record.boxes))
    boxes = [_inside(box, width, height, tolerance, record) for box in once]
    return json.dumps(boxes), len(record.boxes) - len(once)


def boxes_from_json(
    text: str, labels: Sequence[str], width: int, height: int, where: str
) -> list[dict[str, Any]]:
    """Return the boxes of a film, label, x, y, w and h, that `boxes_to_json` wrote.

    Args:
        text: of the manifest.
        labels: that a box may have.
        width: of the film in pixels.
        height: of the film in pixels.
        where: names the row in an error.

    Raises:
        UserError: the text is none, or holds a box beside the film or with an unknown label.
    """
    again = "run prepare again"
    try:
        boxes = json.loads(text, object_pairs_hook=_once)
        if not isinstance(boxes, list) or not all(set(box) == set(KEYS) for box in boxes):
            raise TypeError("no list of boxes")
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{where}: boxes that are no JSON of boxes; {again}") from error
    for number, box in enumerate(boxes):
        label, *numbers = (box[key] for key in KEYS)
        if label not in labels:
            told = str(label)[:100]
            raise UserError(f"{where}: unknown box label {told!r}; {again}")
        if not _sound(numbers, width, height):
            raise UserError(f"{where}: box {number} has no place and size on the film; {again}")
    if len({tuple(box[key] for key in KEYS) for box in boxes}) < len(boxes):
        raise UserError(f"{where}: a box twice; {again}")
    return boxes


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _sound(numbers: Sequence[Any], width: int, height: int) -> bool:
    """Return whether these are x, y, w and h of a box on a film."""
    if not all(type(value) in (int, float) for value in numbers):
        return False
    x, y, w, h = numbers
    # Written so that NaN is refused; the sum of what was a difference is rounded.
    on_film = x >= 0 and y >= 0 and x + w <= width + ROUNDED and y + h <= height + ROUNDED
    return bool(on_film and w > 0 and h > 0)


def _inside(
    box: Box, width: int, height: int, tolerance: float, record: ImageRecord
) -> dict[str, str | float]:
    """Return the box cut at the border; one that leaves the image is an error."""
    right, bottom = box.x + box.w, box.y + box.h
    numbers_are_finite = all(math.isfinite(v) for v in (box.x, box.y, right, bottom))
    fits = (
        min(box.x, box.y) >= -tolerance
        and right <= width + tolerance
        and bottom <= height + tolerance
    )
    x, y = max(box.x, 0.0), max(box.y, 0.0)
    w, h = min(right, width) - x, min(bottom, height) - y
    if not numbers_are_finite or not fits or min(w, h) <= 0:
        raise UserError(
            f"{box.where or record.where}: a box ({box.x:g}, {box.y:g}, {box.w:g}, {box.h:g}) lies "
            f"outside the {width} x {height} image {record.path} or is empty; correct or remove "
            "the row, or take the films at the size that it was drawn on (not resized)"
        )
    return {"label": box.label, "x": x, "y": y, "w": w, "h": h}


def mask_to_json(record: ImageRecord, root: Path, width: int, height: int) -> str | None:
    """Return the mask of a film, None where it was not annotated.

    Args:
        record: the film.
        root: the source folder.
        width: of the film in pixels.
        height: of the film in pixels.

    Raises:
        UserError: the mask cannot be drawn on the film; the file and row are named.
    """
    return None if record.mask is None else _drawn(record.mask, record, root, width, height)


def regions_to_json(
    record: ImageRecord, root: Path, width: int, height: int
) -> list[tuple[str, str]]:
    """Return label and mask of each region of a film; arguments and errors of `mask_to_json`.

    A region without a pixel is none: some sources have an empty one for each absent finding.
    """
    drawn = (
        (label, _drawn(region, record, root, width, height))
        for label, region in record.regions.items()
    )
    return [(label, text) for label, text in drawn if masks.from_json(text).any()]


def _drawn(mask: masks.MaskSource, record: ImageRecord, root: Path, width: int, height: int) -> str:
    try:
        return masks.to_json(mask.draw(root, height, width))
    except ValueError as error:
        raise UserError(
            f"{record.where}: {error}, the image {record.path} is {width} x {height} px; correct "
            "the row, or take films and masks at the size of the original (not resized)"
        ) from error
