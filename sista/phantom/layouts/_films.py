"""What several layouts write of a film: its DICOM file, its part, its files of text."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sista.phantom.patients import Patient, Study
from sista.phantom.rasters import save_dicom, uid
from sista.phantom.render import Film


def part_of(patient: Patient, shares: Mapping[str, float]) -> str:
    """Return the part of a release that a patient is in: of those with a share, else the first."""
    draw = patient.rng(3).random()
    for part, share in shares.items():
        if draw < share:
            return part
        draw -= share
    return next(iter(shares))


def write_dicom(path: Path, film: Film, patient: Patient, study: Study, person: str) -> None:
    """Write a film as one of the flavours of DICOM.

    Args:
        path: file to write.
        film: drawn.
        patient: whose film it is.
        study: of the film.
        person: PatientID in the header.
    """
    header = {
        "PatientID": person,
        "PatientSex": "F" if patient.anatomy.female else "M",
        "PatientAge": f"{patient.anatomy.age:03d}Y",
        "ViewPosition": study.view,
    }
    key = (patient.seed, patient.layout, patient.index, study.number)
    uids = uid(*key, "study"), uid(*key, "series"), uid(*key, "image")
    save_dicom(path, film.pixels, header, uids, patient.rng(4, study.number).random())


def write_lines(path: Path, header: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the `line` of every row below a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in (header, *(row["line"] for row in rows))))


def write_json(path: Path, content: object) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
