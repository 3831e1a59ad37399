"""Films that are read once, also where the run is killed in between and started again.

The work lies in a hidden folder beside the result: the container and a line for each film that is
done. Films are finished in order, so those lines are the beginning of the list.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sista.preparation.films import Film, FilmJob, Unreadable, read_films
from sista.preparation.image_record import ImageRecord

KEY, DONE, IMAGES = "key.txt", "done.jsonl", "images.npy"
# Of the form of the lines.
VERSION = 1


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """Give the folder of the work on `out`; a killed run leaves it, any other end removes it."""
    folder = out.with_name(f".{out.stem}.partial")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def film_jobs(
    records: Sequence[ImageRecord], root: Path, folder: Path, size: int, tolerance: float, key: str
) -> list[FilmJob]:
    """Return what is to be read into the container of a work folder, which is made if need be.

    Args:
        records: of all films.
        root: of the raw data.
        folder: from `work_folder`.
        size: side of the prepared squares.
        tolerance: native pixels that a box may leave its film by.
        key: of what is asked; work that was done for another one is thrown away.
    """
    images = folder / IMAGES
    shape = (len(records), size, size)
    stated = f"{VERSION} {_digest(records, root, key)} {shape}"
    begun = (folder / KEY).is_file() and images.is_file() and (folder / DONE).is_file()
    if not begun or (folder / KEY).read_bytes() != stated.encode():
        (folder / KEY).unlink(missing_ok=True)
        (folder / DONE).write_text("")
        np.lib.format.open_memmap(images, mode="w+", dtype=np.uint8, shape=shape).flush()
        # Last: with the key the rest is there.
        (folder / KEY).write_text(stated)
    header = images.stat().st_size - math.prod(shape)
    return [
        FilmJob(row, root, images, header + row * size**2, size, tolerance, record)
        for row, record in enumerate(records)
    ]


def _digest(records: Sequence[ImageRecord], root: Path, key: str) -> str:
    digest = hashlib.sha256(key.encode())
    for record in records:
        try:
            size = os.stat(root / record.path).st_size
        except OSError:
            size = -1
        digest.update(f"{record!r} {size}\n".encode())
    return digest.hexdigest()


@contextmanager
def resumed_films(jobs: Sequence[FilmJob], folder: Path, threads: int) -> Iterator[Iterator[Film]]:
    """Give the films in order: those that are done from their lines, the others as they are read.

    Args:
        jobs: from `film_jobs`.
        folder: from `work_folder`.
        threads: films read at the same time.

    Raises:
        UserError: see `read_films`.
    """
    done = _done(folder / DONE)
    with read_films(jobs[len(done) :], threads) as films:
        yield _written(done, films, folder / DONE)


def _written(done: list[Film], films: Iterator[Film], file: Path) -> Iterator[Film]:
    yield from done
    with file.open("a", encoding="utf-8") as stream:
        for film in films:
            value: Any = film
            if isinstance(film, Unreadable):
                value = [film.path, film.where, film.reason]
            stream.write(json.dumps(value) + "\n")
            stream.flush()
            yield film


def _done(file: Path) -> list[Film]:
    """Return the films whose lines are whole; what is behind them is cut off."""
    films: list[Film] = []
    whole = 0
    with file.open("rb") as stream:
        for line in stream:
            try:
                value = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                value = None
            if value is None:
                break
            films.append(Unreadable(*value) if isinstance(value, list) else value)
            whole += len(line)
    os.truncate(file, whole)
    return films
