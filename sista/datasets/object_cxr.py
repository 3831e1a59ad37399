"""Object-CXR (JF Healthcare, MIDL 2020): foreign objects as rectangles, ellipses and polygons."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._source import Row, once, relative, rows
from sista.preparation.image_record import Box, ImageRecord

LABEL = "Foreign Object"
# The source's test set has no public labels: dev is the family protocol's test set.
TABLES = {"train": "train", "dev": "test"}
RECTANGLE, ELLIPSE, POLYGON = 0, 1, 2


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without `train.csv`."""
    return "2020" if (folder / "train.csv").is_file() and _is_ours(folder) else None


def _is_ours(folder: Path) -> bool:
    # Other data sets (CheXpert) have a `train.csv` too; the first column tells them apart.
    with (folder / "train.csv").open("rb") as stream:
        return stream.readline(200).removeprefix(BOM_UTF8).lower().startswith(b"image")


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per image; every shape becomes the box around it."""
    seen: set[str] = set()
    for part, subset in TABLES.items():
        table = folder / f"{part}.csv"
        for row in rows(table, ("image_name", "annotation"), known=()):
            name = row.text("image_name")
            once(seen, f"{part}/{name}", row)
            boxes = parse_annotation(row.values["annotation"], row)
            yield ImageRecord(
                image_id=f"{part}/{name}".rsplit(".", 1)[0],
                # The source names no patients: every film becomes a patient of its own.
                patient_id=None,
                path=relative(folder, f"{part}/{name}", row),
                where=row.where,
                labels={LABEL: float(bool(boxes))},
                boxes=boxes,
                official=subset,
            )


def parse_annotation(text: str, row: Row) -> tuple[Box, ...]:
    """Return the boxes around the shapes "type x1 y1 x2 y2;type x1 y1 ..." in native pixels.

    Type 0 is a rectangle and 1 an ellipse (two corners of the box around it), 2 a polygon.

    Raises:
        UserError: a shape that is none of these; names file and row.
    """
    return tuple(_box(shape.split(), row) for shape in text.split(";") if shape.strip())


def _box(words: list[str], row: Row) -> Box:
    try:
        kind, *numbers = (int(float(words[0])), *(float(word) for word in words[1:]))
    except (ValueError, OverflowError) as error:
        raise row.error("annotation holds something else than numbers") from error
    expected = len(numbers) == 4 if kind in (RECTANGLE, ELLIPSE) else len(numbers) >= 6
    if kind not in (RECTANGLE, ELLIPSE, POLYGON) or len(numbers) % 2 or not expected:
        raise row.error("annotation must be `type x1 y1 x2 y2` shapes of type 0, 1 or 2")
    left, right = min(numbers[::2]), max(numbers[::2])
    top, bottom = min(numbers[1::2]), max(numbers[1::2])
    return Box(LABEL, left, top, right - left, bottom - top)


object_cxr = Dataset(
    word="object_cxr",
    title="Object-CXR (foreign objects on chest X-rays)",
    release=release,
    read=read,
    layout=("train.csv", "dev.csv", "train/*.jpg", "dev/*.jpg"),
    licence="CC BY-NC 4.0",
    access="mirrors of the challenge's files",
    url="https://jfhealthcare.github.io/object-CXR/",
    citation="JF Healthcare, Object-CXR: Automatic detection of foreign objects on chest X-rays, "
    "MIDL 2020 challenge",
    counts={"2020": 9000},
    labels=(LABEL,),
    box_labels=(LABEL,),
    # The family protocol has 6,400 / 1,600 / 1,000.
    val_share=0.2,
    # Drawn by hand on films of about 2,500 px, a little over the border at times.
    box_tolerance=25.0,
)
