"""VinDr-CXR: DICOM films; three readers of each training film, one row for a test film."""

from pathlib import Path

from sista.phantom.layouts._films import part_of, write_dicom, write_lines
from sista.phantom.layouts._readers import READERS, Marks, read_by
from sista.phantom.patients import Patient
from sista.phantom.truth import Rows, truth_rows

PARTS = {"train": 0.8, "test": 0.2}
LABELS = (
    "Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,Consolidation,"
    "Edema,Emphysema,Enlarged PA,ILD,Infiltration,Lung Opacity,Lung cavity,Lung cyst,"
    "Mediastinal shift,Nodule/Mass,Pleural effusion,Pleural thickening,Pneumothorax,"
    "Pulmonary fibrosis,Rib fracture,Other lesion,COPD,Lung tumor,Pneumonia,Tuberculosis,"
    "Other diseases,No finding"
).split(",")
SIDES = "x_min,y_min,x_max,y_max"


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the rows of the tables."""
    part = part_of(patient, PARTS)
    rows: Rows = {f"{kind}_{p}": [] for kind in ("labels", "boxes") for p in PARTS}
    rows["truth"] = []
    for study in patient.studies:
        name = patient.rng(4, study.number).bytes(16).hex()
        film = patient.film(study)
        path = f"{part}/{name}.dicom"
        write_dicom(folder / path, film, patient, study, f"person{patient.number:06d}")
        for number, reader in enumerate(READERS if part == "train" else ("",)):
            seen = read_by(patient, study, film, number, *([] if reader else [1.0]))
            start = f"{name},{reader}," if reader else f"{name},"
            rows[f"labels_{part}"].append({"line": start + _values(seen)})
            rows[f"boxes_{part}"] += [{"line": start + line} for line in _boxes(seen)]
        rows["truth"] += truth_rows(film, name, name, f"person{patient.number:06d}", path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the four tables."""
    for part in PARTS:
        start = "image_id,rad_id," if part == "train" else "image_id,"
        home = folder / "annotations"
        labels, boxes = rows[f"labels_{part}"], rows[f"boxes_{part}"]
        write_lines(home / f"image_labels_{part}.csv", start + ",".join(LABELS), labels)
        write_lines(home / f"annotations_{part}.csv", f"{start}class_name,{SIDES}", boxes)


def _values(seen: Marks) -> str:
    names = {name for name, _ in seen} or {"No finding"}
    return ",".join(str(int(label in names)) for label in LABELS)


def _boxes(seen: Marks) -> list[str]:
    return [f"{name},{','.join(map(str, box))}" for name, box in seen] or ["No finding,,,,"]
