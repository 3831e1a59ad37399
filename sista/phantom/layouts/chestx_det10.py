"""ChestX-Det10: PNG films and two lists of boxes by their corners."""

from pathlib import Path

from sista.phantom.layouts._films import part_of, write_json
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, tight_box, truth_rows

PARTS = {"train": 0.8, "test": 0.2}
NAMES = {
    "consolidation": "Consolidation",
    "opacity": "Consolidation",
    "effusion": "Effusion",
    "pneumothorax": "Pneumothorax",
    "atelectasis": "Atelectasis",
    "nodule": "Nodule",
    "emphysema": "Emphysema",
    "fibrosis": "Fibrosis",
}


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the film of one patient; return its entry of the list."""
    part = part_of(patient, PARTS)
    rows: Rows = {"train": [], "test": [], "truth": []}
    for study in patient.studies:
        name = f"{patient.number}.png"
        film = patient.film(study)
        save_image(folder / f"{part}_data/{name}", film.pixels)
        found = [mark for mark in film.marks if mark.finding.kind in NAMES]
        boxes = [tight_box(mark.mask) for mark in found]
        corners = [[x, y, x + w, y + h] for x, y, w, h in boxes]
        names = [NAMES[mark.finding.kind] for mark in found]
        rows[part].append({"file_name": name, "syms": names, "boxes": corners})
        identity = f"{part}/{patient.number}", name, f"{part}/{patient.number}"
        rows["truth"] += truth_rows(film, *identity, f"{part}_data/{name}")
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the two lists."""
    for part in PARTS:
        write_json(folder / f"{part}.json", rows[part])
