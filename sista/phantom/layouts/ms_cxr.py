"""MS-CXR: films in MIMIC's folders, a row for each box with the phrase that it belongs to."""

from pathlib import Path

import pandas as pd

from sista.phantom.layouts._films import part_of
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, tight_box, truth_rows

PARTS = {"train": 0.6, "val": 0.2, "test": 0.2}
LABELS = {
    "opacity": "Lung Opacity",
    "consolidation": "Consolidation",
    "effusion": "Pleural Effusion",
    "pneumothorax": "Pneumothorax",
    "cardiomegaly": "Cardiomegaly",
    "edema": "Edema",
    "atelectasis": "Atelectasis",
}


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient that have a box; return the rows of the table."""
    part, subject = part_of(patient, PARTS), 10_000_000 + patient.number
    rows: Rows = {"table": [], "truth": []}
    for study in patient.studies:
        film = patient.film(study)
        marks = [mark for mark in film.marks if mark.finding.kind in LABELS]
        if not marks:
            continue
        dicom = patient.rng(4, study.number).bytes(20).hex()
        number = 50_000_000 + 10 * patient.number + study.number
        path = f"files/p{str(subject)[:2]}/p{subject}/s{number}/{dicom}.jpg"
        save_image(folder / path, film.pixels)
        height, width = film.pixels.shape
        for mark in marks:
            label = LABELS[mark.finding.kind]
            sides = dict(zip("xywh", tight_box(mark.mask), strict=True))
            about = {"dicom_id": dicom, "category_name": label}
            phrase = " ".join((mark.side, mark.finding.severity, label.lower())).strip()
            size = {"image_width": width, "image_height": height, "split": part}
            rows["table"].append({**about, "label_text": phrase, "path": path, **sides, **size})
        rows["truth"] += truth_rows(film, dicom, str(number), str(subject), path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the table."""
    pd.DataFrame(rows["table"]).to_csv(folder / "MS_CXR_Local_Alignment_v1.1.0.csv", index=False)
