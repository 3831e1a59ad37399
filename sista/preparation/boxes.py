"""Boxes of a manifest as `annotations` writes them, read again: a manifest may be of others."""

import json
from collections.abc import Sequence
from typing import Any

from sista.errors import UserError

KEYS = ("label", "x", "y", "w", "h")
# Pixels.
ROUNDED = 1e-3


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
        boxes: list[dict[str, Any]] = json.loads(text, object_pairs_hook=_once)
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
