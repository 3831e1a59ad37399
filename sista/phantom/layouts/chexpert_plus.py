"""CheXpert Plus: PNG films, one table with the reports, the labels as JSON lines."""

import json
from pathlib import Path

import pandas as pd

from sista.phantom.layouts._films import part_of
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.reports import CHEXPERT_LABELS
from sista.phantom.truth import Rows, truth_rows

PARTS = {"train": 0.8, "valid": 0.2}


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the rows of the table."""
    part, person = part_of(patient, PARTS), f"patient{patient.number:05d}"
    rows: Rows = {"table": [], "labels": [], "truth": []}
    for study in patient.studies:
        name = f"{person}/study{study.number + 1}/view1_frontal"
        film = patient.film(study)
        save_image(folder / f"PNG/{part}/{name}.png", film.pixels)
        about = {"path_to_image": f"{part}/{name}.jpg", "path_to_dcm": f"{part}/{name}.dcm"}
        rows["table"].append(
            about
            | {
                "frontal_lateral": "Frontal",
                "ap_pa": study.view,
                "deid_patient_id": person,
                "patient_report_date_order": study.number + 1,
                "report": study.report.text(),
                "section_findings": study.report.findings,
                "section_impression": study.report.impression,
                "split": part,
            }
        )
        given = {label: study.report.labels.get(label) for label in CHEXPERT_LABELS}
        rows["labels"].append({"path_to_image": about["path_to_image"], **given})
        identity = name, f"{person}/study{study.number + 1}", person
        rows["truth"] += truth_rows(film, *identity, f"PNG/{part}/{name}.png")
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the table and the labels."""
    pd.DataFrame(rows["table"]).to_csv(folder / "df_chexpert_plus_240401.csv", index=False)
    (folder / "chexbert_labels").mkdir()
    lines = "".join(f"{json.dumps(row)}\n" for row in rows["labels"])
    (folder / "chexbert_labels" / "report_fixed.json").write_text(lines)
