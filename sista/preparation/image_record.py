"""One image as its data set describes it, before its pixels are read, and what is left out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sista.preparation.masks import MaskSource


@dataclass(frozen=True)
class Box:
    """A rectangle in native pixels; x and y are those of its left upper corner.

    `where` is the file and row of the annotation where it has a table of its own.
    """

    label: str
    x: float
    y: float
    w: float
    h: float
    where: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ImageRecord:
    """One image as its data set describes it, before its pixels are read.

    Args:
        image_id: unique inside the data set.
        patient_id: None where only the DICOM header knows it.
        path: relative to the source folder, posix.
        where: file and row that named the image, for messages.
        labels: 1 positive, 0 negative, -1 uncertain; a missing name is unknown.
        boxes: None where the image was not annotated for boxes.
        mask: None where the image was not annotated for masks.
        report: text for pre-training.
        official: `train`, `val` or `test` where the source gives it.
        width_mm: width of the film in mm where a table tells it.
        frame: width and height of the image that boxes and regions count in where a table tells it;
            None = the film itself.
        regions: where a finding is, for each that the source outlines.
    """

    image_id: str
    patient_id: str | None
    path: str
    where: str
    labels: Mapping[str, float] = field(default_factory=dict)
    study_id: str | None = None
    view: str | None = None
    boxes: tuple[Box, ...] | None = None
    mask: MaskSource | None = None
    report: str | None = None
    official: str | None = None
    width_mm: float | None = None
    frame: tuple[float, float] | None = None
    regions: Mapping[str, MaskSource] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """Something of a download that does not enter the manifest.

    Args:
        what: `films`, `report texts`, `rows of ...`: a plural.
        why: the reason; entries of one reason are counted together.
        where: file and row, for messages.
        path: of a film, relative to the source folder.
        count: how many.
    """

    what: str
    why: str
    where: str = ""
    path: str | None = None
    count: int = 1


def only_records(entries: Iterable[ImageRecord | LeftOut]) -> Iterator[ImageRecord]:
    """Yield the images among what a reader finds."""
    return (entry for entry in entries if isinstance(entry, ImageRecord))
