"""Boxes of films that several radiologists read (VinDr-CXR and its Kaggle edition)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sista.datasets._source import Row, first_existing, rows
from sista.preparation.image_record import Box

NONE = "No finding"
SIDES = ("x_min", "y_min", "x_max", "y_max")
# Of tables without a column of readers: they agreed before the table was written.
TOGETHER = "consensus"
# Width and height of the original: in the table itself, or in the one beside resized films.
SIZES = (("width", "height"), ("dim1", "dim0"))
SIZE_TABLES = ("train_meta.csv", "test_meta.csv")
# Resized copies whose boxes were moved with the films keep the old ones under other names.
MOVED = "raw_width"
PICTURES = (".png", ".jpg", ".jpeg")
DECLARED = "annotation_frame.txt"


@dataclass
class Votes:
    """What the table of boxes says of one film."""

    first: Row
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    frame: tuple[float, float] | None = None
    moved: bool = False

    def found(self) -> list[dict[str, float]]:
        """Return the labels of each reader: those of the boxes, or that there is nothing."""
        return [{box.label: 1.0 for box in boxes} or {NONE: 1.0} for boxes in self.boxes.values()]

    def native(self, path: str, folder: Path) -> tuple[float, float] | None:
        """Return the frame of the boxes, None where it is the film itself.

        Raises:
            UserError: the film is a picture made of the DICOM file, and it cannot be told whether
                the boxes were moved with it.
        """
        boxed = any(self.boxes.values())
        if self.frame is not None or self.moved or not boxed or _is_original(path, folder):
            return self.frame
        raise self.first.error(
            f"its film {path} is a picture made of the original, and it cannot be told whether the "
            f"boxes count in its pixels; put {SIZE_TABLES[0]} (image_id, dim0, dim1: the height "
            f"and width of the original) beside the table, or write `film` into {folder / DECLARED}"
        )


def _is_original(path: str, folder: Path) -> bool:
    if not path.lower().endswith(PICTURES):
        return True
    declared = folder / DECLARED
    return declared.is_file() and declared.read_text(errors="replace").strip() == "film"


def votes(
    table: Path,
    boxed: Collection[str],
    sizes: Mapping[str, tuple[float, float]],
    whole: Collection[str] = (),
) -> dict[str, Votes]:
    """Return what a table of boxes says of each film, in the order of the table.

    Args:
        table: a row for each box (image_id, class_name, corners) or for each reader who found
            nothing.
        boxed: labels that have a box.
        sizes: width and height of originals, where a table tells them.
        whole: labels of the whole film, which have none.
    """
    found: dict[str, Votes] = {}
    more = ("rad_id", *SIZES[0], MOVED)
    for row in rows(table, ("image_id", "class_name", *SIDES), optional=more):
        name, label = row.text("image_id"), row.text("class_name")
        film = found.setdefault(name, Votes(row, frame=sizes.get(name)))
        if row.values.get(MOVED):
            film.moved, film.frame = True, None
        elif row.values.get("width"):
            film.frame = _size(row, SIZES[0])
        boxes = film.boxes.setdefault(row.values.get("rad_id") or TOGETHER, [])
        if label in boxed:
            left, top, right, bottom = (row.number_in(side) for side in SIDES)
            boxes.append(Box(label, left, top, right - left, bottom - top, row.where))
        elif label not in (NONE, *whole):
            raise row.error(f"unknown class; valid: {', '.join((*boxed, NONE))}")
    return found


def original_sizes(folder: Path) -> dict[str, tuple[float, float]]:
    """Return width and height of originals by the tables beside resized films."""
    sizes: dict[str, tuple[float, float]] = {}
    for name in SIZE_TABLES:
        table = first_existing(folder, (name,))
        for row in rows(table, ("image_id", *SIZES[1])) if table else ():
            sizes[row.text("image_id")] = _size(row, SIZES[1])
    return sizes


def _size(row: Row, columns: tuple[str, str]) -> tuple[float, float]:
    width, height = (row.number_in(column) for column in columns)
    if min(width, height) <= 0:
        raise row.error(f"{columns[0]} and {columns[1]} must be above 0; get the file again")
    return width, height
