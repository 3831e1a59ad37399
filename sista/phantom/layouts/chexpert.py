"""CheXpert-v1.0-small: mined labels with -1 and blank for training, read labels for validation."""

from pathlib import Path

import pandas as pd

from sista.phantom import phrases
from sista.phantom.anatomy import sample_view
from sista.phantom.lateral import render_lateral
from sista.phantom.patients import Patient, Study
from sista.phantom.rasters import save_image
from sista.phantom.reports import CHEXPERT_LABELS
from sista.phantom.truth import Row, Rows, truth_rows

ROOT = "CheXpert-v1.0-small"
VALID_SHARE = 0.28
LATERAL_SHARE = 0.06


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the rows of the tables."""
    part = "valid" if patient.rng(3).random() < VALID_SHARE else "train"
    rows: Rows = {"train": [], "valid": [], "truth": []}
    name = f"patient{patient.number:05d}"
    for study in patient.studies:
        lateral = patient.rng(5, study.number).random() < LATERAL_SHARE
        for image, side in enumerate(["frontal", "lateral"] if lateral else ["frontal"]):
            view_path = f"study{study.number + 1}/view{image + 1}_{side}.jpg"
            path = f"{ROOT}/{part}/{name}/{view_path}"
            if side == "lateral":
                rng = patient.rng(2, study.number, image)
                pixels = render_lateral(sample_view(rng, patient.size, False), patient.anatomy, rng)
            else:
                film = patient.film(study, image)
                pixels = film.pixels
                ids = (
                    f"{name}/{view_path}".removesuffix(".jpg"),
                    f"{name}/study{study.number + 1}",
                    name,
                )
                rows["truth"] += truth_rows(film, *ids, path)
            save_image(folder / path, pixels)
            labels = _read_labels(study) if part == "valid" else dict(study.report.labels)
            rows[part].append({**_header(patient, study, path, side), **labels})
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write train.csv and valid.csv."""
    columns = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_LABELS]
    for part in ("train", "valid"):
        frame = pd.DataFrame(rows[part], columns=columns)
        # The source writes 1.0, 0.0 and -1.0; whole numbers could not hold the blanks.
        frame[list(CHEXPERT_LABELS)] = frame[list(CHEXPERT_LABELS)].astype("float64")
        frame.to_csv(folder / ROOT / f"{part}.csv", index=False)


def _header(patient: Patient, study: Study, path: str, side: str) -> Row:
    return {
        "Path": path,
        "Sex": "Female" if patient.anatomy.female else "Male",
        "Age": patient.anatomy.age,
        "Frontal/Lateral": side.capitalize(),
        "AP/PA": study.view if side == "frontal" else None,
    }


def _read_labels(study: Study) -> Row:
    """Return what is on the film: 0 or 1 for each label, as the validation readers gave it."""
    labels: Row = dict.fromkeys(CHEXPERT_LABELS, 0)
    for finding in study.findings:
        if finding.visible:
            labels.update(dict.fromkeys(phrases.LABELS[finding.kind], 1))
    labels["Support Devices"] = int(bool(study.devices))
    labels["No Finding"] = int(not any(finding.visible for finding in study.findings))
    return labels
