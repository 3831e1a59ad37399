"""RSNA Pneumonia Detection Challenge, stage 2: DICOM films, one table row per box."""

import uuid
from pathlib import Path

import pandas as pd

from sista.phantom.patients import Patient
from sista.phantom.rasters import save_dicom, uid
from sista.phantom.truth import Rows, tight_box, truth_rows

IMAGES = "stage_2_train_images"
OPACITIES = ("opacity", "consolidation")
BOX = ["x", "y", "width", "height"]


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the rows of the tables.

    RSNA's `patientId` names an image; the person is known from `nih_patients.csv`.
    """
    rows: Rows = {"labels": [], "classes": [], "nih": [], "truth": []}
    for study in patient.studies:
        rng = patient.rng(4, study.number)
        name = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        film = patient.film(study)
        path = f"{IMAGES}/{name}.dcm"
        header = {
            "PatientID": name,
            "PatientSex": "F" if patient.anatomy.female else "M",
            "PatientAge": f"{patient.anatomy.age:03d}Y",
            "ViewPosition": study.view,
        }
        uids = uid(name, "study"), uid(name, "series"), uid(name)
        save_dicom(folder / path, film.pixels, header, uids, rng.random())
        boxes = [tight_box(mark.mask) for mark in film.marks if mark.finding.kind in OPACITIES]
        # The challenge's three classes; films with another finding are the hard negatives.
        kind = "Lung Opacity" if boxes else "No Lung Opacity / Not Normal"
        if not film.marks:
            kind = "Normal"
        lines = [dict(zip(BOX, map(float, box), strict=True)) for box in boxes] or [{}]
        for line in lines:
            rows["labels"].append({"patientId": name, **line, "Target": int(bool(line))})
            rows["classes"].append({"patientId": name, "class": kind})
        image = f"{patient.number:08d}_{study.number:03d}.png"
        nih = {"patientId": name, "nih_image": image, "nih_patient_id": patient.number}
        rows["nih"].append(nih)
        rows["truth"] += truth_rows(film, name, name, str(patient.number), path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the box table, the class table and the link from images to persons."""
    labels = pd.DataFrame(rows["labels"], columns=["patientId", *BOX, "Target"])
    labels.to_csv(folder / "stage_2_train_labels.csv", index=False)
    classes = pd.DataFrame(rows["classes"])
    classes.to_csv(folder / "stage_2_detailed_class_info.csv", index=False)
    pd.DataFrame(rows["nih"]).to_csv(folder / "nih_patients.csv", index=False)
