"""An index of the size of a large set: manifest, splits, fractions and audit; 50,000 small films.

The index in seconds of its own time, the films by the wall clock: on a quiet machine, run
`OMP_NUM_THREADS=1 python -m benchmarks.speed.index`.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from benchmarks.speed.measures import Measure, peak_extra_mb, tell
from sista import tables
from sista.audits.near_duplicates import FREQUENCIES, near_pairs
from sista.audits.run import checks_of
from sista.audits.subject import prepared
from sista.preparation import splits
from sista.preparation.image_record import ImageRecord
from sista.preparation.radiograph import load
from sista.preparation.resumed import film_jobs, resumed_films, work_folder

# Images and patients of MIMIC-CXR, ReXGradient-160K and PadChest.
SIZES = ((377_110, 65_379), (273_004, 109_487), (160_861, 67_625))
CLASSES = 14
FILMS, DECODED, TIMES, SIDE = 50_000, 60, 5, 256
REPORT = "the lungs are clear. there is no effusion or pneumothorax. heart size is normal. " * 3


def manifest(images: int, patients: int) -> pd.DataFrame:
    """Return a made-up manifest."""
    chance = np.random.default_rng(0)
    patient = np.sort(chance.integers(0, patients, images))
    subset = np.array(["train", "val", "test"], dtype=object)
    given = chance.choice(3, patients, p=(0.97, 0.01, 0.02))
    names = [f"{n:08x}-{n * 7:08x}" for n in range(images)]
    labels = chance.choice([1.0, 0.0, -1.0, np.nan], (images, CLASSES), p=(0.1, 0.1, 0.05, 0.75))
    # Of a study, not of a film.
    labels = labels[patient]
    return pd.DataFrame(
        {
            "image_id": names,
            "patient_id": [f"p{n}" for n in patient],
            "study_id": [f"s{n}" for n in patient],
            "view": np.where(np.arange(images) % 3, "AP", "PA"),
            "path": [f"files/{n % 10}/{name}.jpg" for n, name in enumerate(names)],
            "row": np.arange(images),
            "height": 3056,
            "width": 2544,
            "scale": 0.08,
            "pad_x": 21.0,
            "pad_y": 0.0,
            "spacing": np.nan,
            "boxes": None,
            "mask": None,
            "report": [f"{REPORT}case {n}." for n in range(images)],
            "release": "2.1.0",
            "content_hash": names,
            "official": subset[given[patient]],
            **{f"label.class {n}": labels[:, n] for n in range(CLASSES)},
        }
    )


def descriptors(images: int) -> NDArray[np.float32]:
    """Return made-up descriptors, with the falling spectrum of films; 1,000 are copies."""
    chance = np.random.default_rng(0)
    width = FREQUENCIES**2 - 1
    axes = np.linalg.qr(chance.normal(size=(width, width)))[0].astype(np.float32)
    spread = (0.3 / np.arange(1, width + 1) ** 0.7).astype(np.float32)
    vectors = chance.standard_normal((images, width), dtype=np.float32) * spread @ axes
    vectors += chance.normal(0, 0.05, width).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[-1000:] = vectors[:1000] + chance.normal(0, 0.001, (1000, width)).astype(np.float32)
    return np.asarray(vectors, np.float32)


def timed(step: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return the seconds that a step takes by a clock."""
    started = clock()
    step()
    return clock() - started


def index(folder: Path, images: int, patients: int) -> Iterator[Measure]:
    """Yield the figures of the index; the pixels of its films are not looked at."""
    path = folder / "m.parquet"
    spent: dict[str, float] = {}
    found: dict[str, NDArray[np.int64]] = {}

    def prepare() -> None:
        frame = manifest(images, patients)
        labels = {f"class {n}": frame[f"label.class {n}"].to_numpy() for n in range(CLASSES)}

        def split() -> None:
            made = splits.make(frame, "mimic_cxr", labels)
            splits.validate_split(made.frame, frame)
            tables.write(made.frame, folder / "m.split.parquet", "split", made.meta)

        spent["manifest"] = timed(lambda: tables.write(frame, path, "manifest", {"images": "none"}))
        spent["split and fractions of 5 draws"] = timed(split)

    def audit() -> None:
        spent["audit of the tables"] = timed(lambda: list(checks_of(prepared(path, {}), None)))
        vectors = descriptors(images)
        spent["near copies among all"] = timed(lambda: found.update(near_pairs(vectors)))

    # The program itself has some 300 MB; this one has torch too.
    memory = {"prepare": peak_extra_mb(prepare), "audit": peak_extra_mb(audit)}
    for name, seconds in spent.items():
        yield Measure(f"{images} images: {name}", seconds, None, "s")
    share = len(found["near copy"]) / 1000
    what = f"{images} images"
    yield Measure(f"{what}: near copies found, of 1,000 planted", share, 0.99, "share", True)
    yield Measure(f"{what}: all of it", sum(spent.values()), 180, "s")
    for name, extra in memory.items():
        yield Measure(f"{what}: memory of the {name}, above the program", extra, 1700, "MB")


def films(folder: Path) -> Iterator[Measure]:
    """Yield how fast films are prepared, and how much memory many of them take."""
    chance = np.random.default_rng(0)
    records: list[ImageRecord] = []
    for number in range(DECODED * TIMES):
        if number >= DECODED:
            # So that what it takes to start a reading process counts little.
            path = records[number % DECODED].path
            records.append(ImageRecord(str(number), str(number), path, "made up"))
            continue
        coarse = chance.integers(0, 256, (200, 160)).astype(np.uint8)
        picture = Image.fromarray(coarse).resize((1600, 2000), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.png")
        records.append(ImageRecord(str(number), str(number), f"{number}.png", "made up"))
    # The films are read in a process of their own, whose time is not ours: by the wall clock.
    wall = time.perf_counter
    alone = timed(lambda: [load(folder / record.path) for record in records], wall)

    def prepare(some: list[ImageRecord], side: int) -> None:
        with work_folder(folder / "m.parquet") as work:
            jobs = film_jobs(some, folder, work, side, 2.0, "")
            with resumed_films(jobs, work, 1) as results:
                list(results)

    whole = timed(lambda: prepare(records, SIDE), wall)
    yield Measure("films prepared, share of decoding alone", alone / whole, 0.8, "share", True)
    Image.fromarray(chance.integers(0, 256, (64, 64)).astype(np.uint8)).save(folder / "s.png")
    many = [ImageRecord(f"i{n}", f"p{n}", "s.png", "made up", report=REPORT) for n in range(FILMS)]
    extra = peak_extra_mb(lambda: prepare(many, SIDE))
    yield Measure(f"memory of {FILMS} films, above the program", extra, 1200, "MB")


def measure() -> Iterator[Measure]:
    """Yield every figure."""
    with TemporaryDirectory() as folder:
        yield from films(Path(folder))
        for images, patients in SIZES:
            yield from index(Path(folder), images, patients)


if __name__ == "__main__":
    tell(measure(), __doc__ or "")
