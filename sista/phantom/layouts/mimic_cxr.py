"""MIMIC-CXR-JPG 2.0.0 with the reports of MIMIC-CXR beside the studies."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from sista.phantom.anatomy import sample_view
from sista.phantom.lateral import render_lateral
from sista.phantom.patients import Patient, Study
from sista.phantom.rasters import save_image
from sista.phantom.truth import Row, Rows, truth_rows

LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
SPLITS = {"train": 0.80, "validate": 0.10, "test": 0.10}
LATERAL_SHARE = 0.10
SECOND_FRONTAL_SHARE = 0.05


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films and reports of one patient; return the rows of the tables."""
    # In the source patients are numbered from 10 million on, studies from 50 million on.
    subject = 10_000_000 + patient.number
    home = Path("files") / f"p{str(subject)[:2]}" / f"p{subject}"
    (folder / home).mkdir(parents=True)
    split = str(patient.rng(3).choice(list(SPLITS), p=list(SPLITS.values())))
    rows: Rows = {"split": [], "metadata": [], "chexpert": [], "truth": []}
    for study in patient.studies:
        name = 50_000_000 + 10 * patient.number + study.number
        report = folder / home / f"s{name}.txt"
        report.write_text(study.report.text())
        keys: Row = {"subject_id": subject, "study_id": name}
        rows["chexpert"].append({**keys, **study.report.labels})
        for image, view in enumerate(_views(patient, study)):
            dicom = _dicom_id(patient.rng(4, study.number, image))
            path = home / f"s{name}" / f"{dicom}.jpg"
            if view == "LATERAL":
                rng = patient.rng(2, study.number, image)
                pixels = render_lateral(sample_view(rng, patient.size, False), patient.anatomy, rng)
            else:
                film = patient.film(study, image)
                pixels = film.pixels
                ids = dicom, str(name), str(subject)
                rows["truth"] += truth_rows(film, *ids, path.as_posix())
            save_image(folder / path, pixels)
            rows["split"].append({"dicom_id": dicom, **keys, "split": split})
            rows["metadata"].append(_metadata(dicom, keys, view, study, pixels.shape))
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the three compressed tables."""
    orders = {
        "split": ["dicom_id", "study_id", "subject_id", "split"],
        "metadata": list(rows["metadata"][0]),
        "chexpert": ["subject_id", "study_id", *LABELS],
    }
    for name, columns in orders.items():
        frame = pd.DataFrame(rows[name], columns=columns)
        if name == "chexpert":
            # The source writes 1.0, 0.0 and -1.0; whole numbers could not hold the blanks.
            frame[list(LABELS)] = frame[list(LABELS)].astype("float64")
        text = frame.to_csv(index=False)
        # No time stamp in the file: the same preset gives the same bytes.
        path = folder / f"mimic-cxr-2.0.0-{name}.csv.gz"
        path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _views(patient: Patient, study: Study) -> list[str]:
    draw = patient.rng(5, study.number).random()
    views = [study.view]
    if study.view == "PA" and draw < LATERAL_SHARE / 0.5:
        views.append("LATERAL")
    elif study.view == "AP" and draw < SECOND_FRONTAL_SHARE / 0.5:
        views.append("AP")
    return views


def _dicom_id(rng: np.random.Generator) -> str:
    return "-".join(f"{part:08x}" for part in rng.integers(0, 2**32, 5, dtype=np.uint32))


def _metadata(dicom: str, keys: Row, view: str, study: Study, shape: tuple[int, ...]) -> Row:
    names = {"PA": "postero-anterior", "AP": "antero-posterior", "LATERAL": "lateral"}
    step = "CHEST (PORTABLE AP)" if study.view == "AP" else "CHEST (PA AND LAT)"
    return {
        "dicom_id": dicom,
        **keys,
        "PerformedProcedureStepDescription": step,
        "ViewPosition": view,
        "Rows": shape[0],
        "Columns": shape[1],
        "StudyDate": 21800000 + 10000 * study.number + 506,
        "StudyTime": 213014.531,
        "ProcedureCodeSequence_CodeMeaning": step,
        "ViewCodeSequence_CodeMeaning": names[view],
        "PatientOrientationCodeSequence_CodeMeaning": "Erect",
    }
