"""Boxes that all keep to the upper left of their films: they count in a frame that nobody named.

Shares of a side (0 to 1), per cent, or the pixels of a smaller copy fit every film, so that no box
leaves one. What tells them is that no box reaches the lower and right parts.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sista.errors import UserError, warn
from sista.preparation.annotation_frame import DECLARED, FILM, RIM, UNLIKELY
from sista.preparation.image_record import ImageRecord

# A source of small findings may leave the outer parts of its films free, not two fifths of them.
# A frame of more than that share of the films is not told by this.
REACH = 0.6
# Fewer boxes may keep to one side: that is told and not refused.
MANY = 20
# Pixels: nothing is drawn inside one.
PIXEL = 1.0


def check_extent(
    films: Iterable[tuple[ImageRecord, Mapping[str, Any]]], declared: bool = False
) -> None:
    """Refuse boxes whose places say that they do not count in the pixels of their films.

    Less than `MANY` that keep to one corner are told.

    Args:
        films: records, and what was read of them: `boxes` as JSON in native pixels or None,
            `width` and `height` in pixels.
        declared: whether the frame was declared; then only boxes inside one pixel are refused.

    Raises:
        UserError: names the file and row of the first box.
    """
    reaches: list[float] = []
    first = ""
    for record, film in films:
        for number, box in enumerate(json.loads(film["boxes"] or "[]")):
            right, bottom = box["x"] + box["w"], box["y"] + box["h"]
            if not reaches or max(right, bottom) <= PIXEL:
                first = _where(record, number)
            if max(right, bottom) <= PIXEL:
                raise UserError(
                    f"{first}: a box that ends at ({right:g}, {bottom:g}), inside the first pixel "
                    f"of its film ({film['width']} x {film['height']}): it counts in shares of the "
                    "sides; give boxes in pixels"
                )
            # A table that tells the size of its films has named the frame.
            if record.frame is None:
                reaches.append(max(right / film["width"], bottom / film["height"]))
    if declared or not reaches:
        return
    # Not the greatest: a few small films, of which a smaller frame is the whole, would hide all.
    count, reach = len(reaches), sorted(reaches)[len(reaches) * 95 // 100]
    if reach > REACH:
        return
    if max(0.0, reach - RIM) ** (2 * count) >= UNLIKELY:
        return
    problem = (
        f"{first}: of {count} boxes hardly any reaches beyond {reach:.0%} of its film's width and "
        "height, so they hardly count in its pixels (per cent? another size?)"
    )
    if count < MANY:
        warn(problem)
        return
    raise UserError(
        f"{problem}; take the films and boxes as downloaded, or write `{FILM}` into {DECLARED} in "
        "the folder of the data if they do"
    )


def is_declared(root: Path, side: int | None) -> bool:
    """Return whether the folder of a data set says which frame its boxes count in.

    Args:
        root: the folder.
        side: of the frame that the source publishes boxes in, from which another one is scaled;
            None = it publishes none, so that a declared side could not be applied.

    Raises:
        UserError: it says something that is not applied.
    """
    file = root / DECLARED
    if not file.is_file():
        return False
    text = file.read_text(errors="replace").strip()
    if text != FILM and (side is None or not text.isdigit()):
        also = "" if side is None else f" or a side in pixels such as {side}"
        raise UserError(f"{file}: must hold `{FILM}`{also}; other boxes are not scaled here")
    return True


def _where(record: ImageRecord, number: int) -> str:
    boxes = record.boxes or ()
    # Of boxes that stand twice one is left, so that numbers may shift within a film.
    return (boxes[number].where if number < len(boxes) else "") or record.where
