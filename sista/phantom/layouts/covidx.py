"""COVIDx V9A: PNG and JPEG films and lists of "patient file class source"."""

from pathlib import Path

from sista.phantom.patients import Patient, Study
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, truth_rows

TEST_SHARE = 0.2
SOURCE = "phantom"


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the lines of the lists."""
    part = "test" if patient.rng(3).random() < TEST_SHARE else "train"
    ending = "png" if patient.rng(6).random() < 0.5 else "jpg"
    rows: Rows = {"train": [], "test": [], "truth": []}
    for study in patient.studies:
        name = f"{patient.number:06d}-{study.number}.{ending}"
        path = f"{part}/{name}"
        film = patient.film(study)
        save_image(folder / path, film.pixels)
        line = f"{patient.number} {name} {_class(study)} {SOURCE}"
        rows[part].append({"line": line})
        rows["truth"] += truth_rows(film, path, name, str(patient.number), path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the two lists."""
    for part in ("train", "test"):
        (folder / part).mkdir(exist_ok=True)
        text = "".join(f"{row['line']}\n" for row in rows[part])
        (folder / f"{part}_COVIDx9A.txt").write_text(text)


def _class(study: Study) -> str:
    if study.shows("covid"):
        return "COVID-19"
    return "pneumonia" if study.shows("consolidation", "opacity") else "normal"
