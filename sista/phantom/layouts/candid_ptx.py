"""CANDID-PTX: DICOM files without an ending, a table with run lengths and reports."""

from pathlib import Path

import pandas as pd

from sista.phantom.layouts._films import write_dicom
from sista.phantom.layouts.siim_acr import relative_rle
from sista.phantom.patients import Patient
from sista.phantom.rasters import uid
from sista.phantom.truth import Rows, truth_rows


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the rows of the tables."""
    rows: Rows = {"reports": [], "tubes": [], "truth": []}
    for study in patient.studies:
        film = patient.film(study)
        name = uid(patient.seed, patient.layout, patient.index, study.number, "image")
        write_dicom(folder / f"dataset/{name}", film, patient, study, "anonymous")
        masks = [mark.mask for mark in film.marks if mark.finding.kind == "pneumothorax"]
        about = {"SOPInstanceUID": name, "filename": f"{patient.number}_{study.number}.dcm"}
        report = " ".join((study.report.findings, study.report.impression)).strip()
        for code in [relative_rle(mask) for mask in masks] or ["-1"]:
            rows["reports"].append({**about, "EncodedPixels": code, "Report": report})
        if study.devices:
            # Outlines of the devices are not kept: that there is one is enough for the label.
            rows["tubes"].append({"anon_SOPUID": name, "mask_rle": "1 1"})
        rows["truth"] += truth_rows(film, name, name, str(patient.number), f"dataset/{name}")
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the table of reports and that of tubes."""
    pd.DataFrame(rows["reports"]).to_csv(folder / "Pneumothorax_reports.csv", index=False)
    tubes = pd.DataFrame(rows["tubes"], columns=["anon_SOPUID", "mask_rle"])
    tubes.to_csv(folder / "chest_tube.csv", index=False)
