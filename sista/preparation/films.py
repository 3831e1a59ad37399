"""The films of a data set: each is read, written into the container and becomes a manifest row.

Decoders of films are foreign C code: they run in processes of their own, so a film that
kills or stalls one costs itself alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sista.errors import UserError
from sista.preparation.annotation_frame import in_native_pixels
from sista.preparation.annotations import boxes_to_json, mask_to_json, regions_to_json
from sista.preparation.image_record import ImageRecord
from sista.preparation.radiograph import fit, load
from sista.runs.isolated import Died, isolated_map


@dataclass(frozen=True)
class FilmJob:
    """What is needed to prepare one image.

    Attributes:
        row: its place in the container.
        root: folder of the raw data.
        container: file of all prepared images.
        offset: bytes before its place.
        size: side of the prepared square in pixels.
        tolerance: native pixels that a box may leave the image by.
        record: how the data set describes it.
    """

    row: int
    root: Path
    container: Path
    offset: int
    size: int
    tolerance: float
    record: ImageRecord


@dataclass(frozen=True)
class Unreadable:
    """A film that cannot be read: its path below the data's folder, who named it, and why."""

    path: str
    where: str
    reason: str


Film = dict[str, Any] | Unreadable


@contextmanager
def read_films(
    jobs: Sequence[FilmJob], threads: int, read: Callable[[FilmJob], Film] | None = None
) -> Iterator[Iterator[Film]]:
    """Give the manifest rows in order; the result does not depend on the threads.

    Args:
        jobs: what is read.
        threads: at the same time.
        read: a function of a module; None = `read_film`.

    Raises:
        UserError: what the tables say of an image does not fit it.
    """
    with isolated_map(read or read_film, jobs, threads, __name__) as results:
        yield (
            _killed(job, result) if isinstance(result, Died) else result
            for job, result in zip(jobs, results, strict=True)
        )


def _killed(job: FilmJob, how: Died) -> Unreadable:
    path = job.root / job.record.path
    reason = f"{path}: {how.reason}: the file is damaged; download it again"
    return Unreadable(job.record.path, job.record.where, reason)


def read_film(job: FilmJob) -> Film:
    """Read one image, write its square into the container, return its manifest row."""
    record = job.record
    try:
        film = load(job.root / record.path)
    except UserError as error:
        return Unreadable(record.path, record.where, str(error))
    height, width = film.pixels.shape
    record = in_native_pixels(record, width, height)
    square, frame = fit(film.pixels, job.size)
    # A plain write: syncing a memory map costs more than decoding the film.
    with job.container.open("r+b") as container:
        container.seek(job.offset)
        container.write(square.tobytes())
    boxes, doubled = boxes_to_json(record, width, height, job.tolerance)
    return {
        "image_id": record.image_id,
        "patient_id": record.patient_id or film.patient_id or record.image_id,
        "study_id": record.study_id,
        "view": record.view or film.view,
        "path": record.path,
        "row": job.row,
        "height": height,
        "width": width,
        "scale": frame.scale,
        "pad_x": frame.pad_x,
        "pad_y": frame.pad_y,
        "spacing": film.spacing if record.width_mm is None else record.width_mm / width,
        "boxes": boxes,
        "mask": mask_to_json(record, job.root, width, height),
        "report": record.report,
        "content_hash": film.content_hash,
        "official": record.official,
        "labels": dict(record.labels),
        "regions": regions_to_json(record, job.root, width, height),
        "doubled_boxes": doubled,
        "scaled": record is not job.record,
    }
