"""JSRT with SCR's outlines: films that say whether there is a nodule, masks, places of nodules."""

from pathlib import Path

import numpy as np

from sista.phantom.layouts._films import write_lines
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, tight_box, truth_rows

SPACING = 0.175
HEADER = "file, subtlety, size (mm), age, sex, x, y, kind, place"


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the film of one patient and the masks of its lungs; return the places of nodules."""
    rows: Rows = {"nodules": [], "truth": []}
    for study in patient.studies:
        film = patient.film(study)
        nodules = [mark for mark in film.marks if mark.finding.kind == "nodule"]
        name = f"JPC{'LN' if nodules else 'NN'}{patient.number % 1000:03d}"
        path = f"All247images/{name}.png"
        save_image(folder / path, film.pixels)
        for side, mask in film.lungs.items():
            file = folder / f"masks/{side} lung/{name}.png"
            save_image(file, mask.astype(np.float32))
        for mark in nodules:
            x, y, w, h = tight_box(mark.mask)
            size, age = max(w, h) * SPACING, patient.anatomy.age
            place = f"{x + w / 2:.0f}\t{y + h / 2:.0f}\tbenign\t{mark.side} {mark.finding.zone}"
            sex = "Female" if patient.anatomy.female else "Male"
            rows["nodules"].append({"line": f"{name}.IMG\t3\t{size:.1f}\t{age}\t{sex}\t{place}"})
        rows["truth"] += truth_rows(film, name, name, name, path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the table of nodules, which only a set with one has."""
    if rows["nodules"]:
        write_lines(folder / "CLNDAT_EN.txt", HEADER, rows["nodules"])
