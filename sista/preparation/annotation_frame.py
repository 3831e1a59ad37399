"""Boxes and run-length masks of films that were resized: which frame they count in, and scaling.

A source publishes its annotations in one square frame (NIH, RSNA, SIIM: 1024 x 1024). Resized
copies of the films come with that table as it was, or with one that was resized as well. Where the
places tell which it is they are scaled or kept, else they are refused.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sista.errors import UserError
from sista.preparation.image_record import Box, ImageRecord
from sista.preparation.masks import FilledBoxes, RelativeRle
from sista.preparation.radiograph import film_size

# Says the frame where the places do not: `film`, or its side in pixels.
DECLARED = "annotation_frame.txt"
FILM = "film"
# Chance by which annotations of one frame may all lie inside the other.
UNLIKELY = 1e-6
# No finding lies in the outer tenth of a film alone.
RIM = 0.1
TOLERANCE = 2.0


@dataclass(frozen=True)
class _Place:
    """One annotation: film size, and its lower right end (a run-length code: its last pixel)."""

    where: str
    width: int
    height: int
    ends: tuple[float, ...]

    def fits(self, width: int, height: int) -> bool:
        if len(self.ends) == 1:
            return self.ends[0] <= width * height
        return self.ends[0] <= width + TOLERANCE and self.ends[1] <= height + TOLERANCE

    def chance(self, side: int, rim: float) -> float:
        """Chance that an annotation of the larger frame lies inside the smaller one."""
        if len(self.ends) == 1:
            return max(0.0, _ratio(self.width * self.height, side * side) - rim)
        ratios = (_ratio(length, side) for length in (self.width, self.height))
        return math.prod(max(0.0, ratio - rim) for ratio in ratios)


def in_film_frame(
    records: list[ImageRecord], root: Path, side: int
) -> tuple[list[ImageRecord], str | None]:
    """Return records whose annotations count in native pixels, and what was done, None = nothing.

    Args:
        records: of one download.
        root: its folder.
        side: of the square frame in pixels that the source publishes annotations in.

    Raises:
        UserError: the frame cannot be told; names the file and row of an annotation.
    """
    sizes = _sizes(records, root, side)
    if not sizes:
        return records, None
    declared = _declared(root, side)
    if declared is None:
        places = [place for r in records if r.image_id in sizes for place in _places(r, sizes)]
        declared = side if _is_published(places, side, root) else 0
    if declared == 0:
        return records, f"boxes and masks of {len(sizes)} resized films count in their own pixels"
    scaled = [
        _scaled(r, *sizes[r.image_id], declared) if r.image_id in sizes else r for r in records
    ]
    return scaled, (
        f"boxes and masks of {len(sizes)} resized films were scaled from the frame of "
        f"{declared} x {declared} px"
    )


def _sizes(records: Iterable[ImageRecord], root: Path, side: int) -> dict[str, tuple[int, int]]:
    """Return width and height of the annotated films that are not of the published size."""
    sizes: dict[str, tuple[int, int]] = {}
    for record in records:
        if record.boxes or (isinstance(record.mask, RelativeRle) and record.mask.end):
            size = film_size(root / record.path)
            if size is not None and size != (side, side):
                sizes[record.image_id] = size
    return sizes


def _declared(root: Path, side: int) -> int | None:
    """Return the declared side, 0 for the film's own frame, None where nothing is declared."""
    file = root / DECLARED
    if not file.is_file():
        return None
    text = file.read_text(errors="replace").strip()
    if text == FILM:
        return 0
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise UserError(f"{file}: must hold `{FILM}` or a side in pixels such as {side}")


def _places(record: ImageRecord, sizes: dict[str, tuple[int, int]]) -> Iterator[_Place]:
    width, height = sizes[record.image_id]
    for box in record.boxes or ():
        ends = (box.x + box.w, box.y + box.h)
        yield _Place(box.where or record.where, width, height, ends)
    if isinstance(record.mask, RelativeRle) and record.mask.end:
        yield _Place(record.where, width, height, (float(record.mask.end),))


def _is_published(places: Sequence[_Place], side: int, root: Path) -> bool:
    """Tell whether annotations count in the published frame (else in the film's own)."""
    outside = [place for place in places if not place.fits(place.width, place.height)]
    beyond = [place for place in places if not place.fits(side, side)]
    if beyond:
        # Not in the published frame; what leaves its film is an error of its row, named later.
        return False
    if outside:
        if _most_fit(places, len(places) - len(outside), side):
            return False
        # A square frame fits no other film: its row is named as one that leaves the film.
        return all(place.width == place.height for place in places)
    # All fit both frames: by chance, were they of the larger one?
    small = [place for place in places if place.width * place.height < side * side]
    large = [place for place in places if place.width * place.height >= side * side]
    own, published = (_all_by_chance(part, side) < UNLIKELY for part in (small, large))
    if own == published:
        raise _unknown((small or large)[0], side, root)
    return published


def _most_fit(places: Sequence[_Place], fitting: int, side: int) -> bool:
    """Tell whether more lie inside their resized films than annotations of the frame would."""
    # Here: to import it takes long, and few downloads come to this.
    from scipy.stats import binom

    mean = sum(place.chance(side, 0.0) for place in places) / len(places)
    # A third more: findings keep to the middle of a film.
    return bool(binom.sf(fitting - 1, len(places), min(1.0, mean * 4 / 3)) < UNLIKELY)


def _all_by_chance(places: Sequence[_Place], side: int) -> float:
    return math.prod(place.chance(side, RIM) for place in places)


def _ratio(first: float, second: float) -> float:
    return min(first, second) / max(first, second)


def _unknown(place: _Place, side: int, root: Path) -> UserError:
    return UserError(
        f"{place.where}: the film was resized to {place.width} x {place.height} px, and it cannot "
        f"be told whether its annotation counts in these pixels or in the published "
        f"{side} x {side} frame; take the films as downloaded, or write `{FILM}` or `{side}` into "
        f"{root / DECLARED}"
    )


def _scaled(record: ImageRecord, width: int, height: int, side: int) -> ImageRecord:
    """Return a record with its annotations moved from the published frame to the film."""
    moved = _moved(record, width / side, height / side)
    if isinstance(moved.mask, RelativeRle):
        return replace(moved, mask=replace(moved.mask, side=side))
    return moved


def in_native_pixels(record: ImageRecord, width: int, height: int) -> ImageRecord:
    """Return a record whose boxes and regions count in the pixels of the film.

    Each side is scaled for itself, as the usual resized copies of these sets were made.

    Args:
        record: with the frame that its table tells, if it does.
        width: of the film in pixels.
        height: of the film in pixels.
    """
    if record.frame is None or record.frame == (width, height):
        return record
    return _moved(record, width / record.frame[0], height / record.frame[1])


def _moved(record: ImageRecord, x: float, y: float) -> ImageRecord:
    boxes, mask = record.boxes, record.mask
    if boxes is not None:
        boxes = tuple(Box(b.label, b.x * x, b.y * y, b.w * x, b.h * y, b.where) for b in boxes)
    if isinstance(mask, FilledBoxes):
        mask = _moved_boxes(mask, x, y)
    regions = {
        label: _moved_boxes(region, x, y) if isinstance(region, FilledBoxes) else region
        for label, region in record.regions.items()
    }
    return replace(record, boxes=boxes, mask=mask, regions=regions)


def _moved_boxes(mask: FilledBoxes, x: float, y: float) -> FilledBoxes:
    return FilledBoxes(tuple((a * x, b * y, c * x, d * y) for a, b, c, d in mask.boxes))
