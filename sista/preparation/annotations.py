"""Boxes and masks of a film as the manifest keeps them, checked against the film."""

import json
import math
from pathlib import Path

from sista.errors import UserError
from sista.preparation import masks
from sista.preparation.image_record import Box, ImageRecord


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
