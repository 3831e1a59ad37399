"""CheXlocalize: CheXpert's validation and test films with run lengths of each finding."""

import json
from pathlib import Path

import numpy as np

from sista.phantom import phrases
from sista.phantom.layouts._films import part_of, write_json, write_lines
from sista.phantom.lesions import Mask
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.render import Film
from sista.phantom.reports import CHEXPERT_LABELS
from sista.phantom.truth import Rows, encode, truth_rows

PARTS = {"val": 0.3, "test": 0.7}
OUTLINED = {
    "Cardiomegaly": "Cardiomegaly",
    "Lung Opacity": "Airspace Opacity",
    "Lung Lesion": "Lung Lesion",
    "Edema": "Edema",
    "Consolidation": "Consolidation",
    "Atelectasis": "Atelectasis",
    "Pneumothorax": "Pneumothorax",
    "Pleural Effusion": "Pleural Effusion",
}


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return rows and outlines."""
    part, person = part_of(patient, PARTS), f"patient{patient.number:05d}"
    rows: Rows = {f"{kind}_{p}": [] for kind in ("labels", "outlines") for p in PARTS}
    rows["truth"] = []
    # The table of val has the folders of CheXpert.
    start = "CheXpert-v1.0/valid" if part == "val" else "test"
    for study in patient.studies:
        name = f"{person}/study{study.number + 1}/view1_frontal"
        film = patient.film(study)
        path = f"CheXpert/{part}/{name}.jpg"
        save_image(folder / path, film.pixels)
        found = _outlines(film)
        shown = {label for mark in film.marks for label in phrases.LABELS[mark.finding.kind]}
        values = ",".join(str(float(label in shown)) for label in CHEXPERT_LABELS)
        rows[f"labels_{part}"].append({"line": f"{start}/{name}.jpg,{values}"})
        if found:
            rows[f"outlines_{part}"].append({name.replace("/", "_"): found})
        study_id = f"{person}/study{study.number + 1}"
        rows["truth"] += truth_rows(film, name, study_id, person, path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the tables and the outlines."""
    header = ",".join(("Path", *CHEXPERT_LABELS))
    for part in PARTS:
        write_lines(folder / f"CheXpert/{part}_labels.csv", header, rows[f"labels_{part}"])
        merged = {name: each for row in rows[f"outlines_{part}"] for name, each in row.items()}
        write_json(folder / f"CheXlocalize/gt_segmentations_{part}.json", merged)


def _outlines(film: Film) -> dict[str, object]:
    masks: dict[str, Mask] = {}
    for mark in film.marks:
        for label in phrases.LABELS[mark.finding.kind]:
            if label in OUTLINED:
                name = OUTLINED[label]
                masks[name] = masks.get(name, np.zeros_like(mark.mask)) | mark.mask
    return {name: json.loads(encode(mask)) for name, mask in masks.items()}
