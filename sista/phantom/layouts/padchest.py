"""PadChest: PNG films in numbered folders and one table with lists of labels in its cells."""

import gzip
from pathlib import Path

import pandas as pd

from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, truth_rows

NAMES = {
    "opacity": "infiltrates",
    "covid": "alveolar pattern",
    "consolidation": "consolidation",
    "effusion": "pleural effusion",
    "pneumothorax": "pneumothorax",
    "cardiomegaly": "cardiomegaly",
    "edema": "pulmonary edema",
    "atelectasis": "atelectasis",
    "nodule": "nodule",
    "emphysema": "emphysema",
    "fibrosis": "pulmonary fibrosis",
    "pleural_thickening": "apical pleural thickening",
    "hernia": "hiatal hernia",
}
FOLDERS = 3
TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the rows of the table."""
    rows: Rows = {"table": [], "truth": []}
    for study in patient.studies:
        key = f"{patient.number}{study.number:03d}"
        name, place = f"{key}_{patient.rng(4, study.number).bytes(3).hex()}.png", patient.number % 3
        film = patient.film(study)
        save_image(folder / f"{place}/{name}", film.pixels)
        shown = {NAMES.get(f.kind, "normal") for f in study.findings if f.visible} or {"normal"}
        rows["table"].append(
            {
                "ImageID": name,
                "ImageDir": place,
                "StudyDate_DICOM": 20100101 + 10000 * study.number,
                "StudyID": key,
                "PatientID": f"person{patient.number}",
                "Projection": "PA" if study.view == "PA" else "AP_horizontal",
                "Report": " ".join(study.report.findings.split()) or study.report.impression,
                "MethodLabel": "Physician",
                "Labels": str(sorted(shown)),
            }
        )
        person = f"person{patient.number}"
        rows["truth"] += truth_rows(film, name[:-4], key, person, f"{place}/{name}")
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the table; its first column has no name."""
    text = pd.DataFrame(rows["table"]).to_csv()
    # No time stamp in the file: the same preset gives the same bytes.
    (folder / TABLE).write_bytes(gzip.compress(text.encode(), mtime=0))
