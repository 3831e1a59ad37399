"""VinBigData: films resized to PNG, boxes of three readers at the size of the original."""

from pathlib import Path

from sista.phantom.layouts._films import write_lines
from sista.phantom.layouts._readers import READERS, read_by
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, truth_rows

# Pixels of the original for each one of the copy.
SCALE = 2
LABELS = (
    "Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Consolidation,ILD,Infiltration,"
    "Lung Opacity,Nodule/Mass,Other lesion,Pleural effusion,Pleural thickening,Pneumothorax,"
    "Pulmonary fibrosis,No finding"
).split(",")


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the film of one patient; return the rows of the tables."""
    rows: Rows = {"train": [], "meta": [], "truth": []}
    for study in patient.studies:
        name = patient.rng(4, study.number).bytes(16).hex()
        film = patient.film(study)
        path = f"train/{name}.png"
        save_image(folder / path, film.pixels)
        height, width = film.pixels.shape
        rows["meta"].append({"line": f"{name},{height * SCALE},{width * SCALE}"})
        for number, reader in enumerate(READERS):
            for label, box in read_by(patient, study, film, number) or [("No finding", ())]:
                corners = ",".join(str(v * SCALE) for v in box) or ",,,"
                line = f"{name},{label},{LABELS.index(label)},{reader},{corners}"
                rows["train"].append({"line": line})
        rows["truth"] += truth_rows(film, name, name, name, path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the table of boxes and that of the original sizes."""
    header = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
    write_lines(folder / "train.csv", header, rows["train"])
    write_lines(folder / "train_meta.csv", "image_id,dim0,dim1", rows["meta"])
