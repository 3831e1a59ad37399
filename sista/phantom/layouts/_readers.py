"""Boxes of three radiologists, who do not see the same: VinDr-CXR and its Kaggle edition."""

from sista.phantom.patients import Patient, Study
from sista.phantom.render import Film
from sista.phantom.truth import tight_box

NAMES = {
    "opacity": "Lung Opacity",
    "covid": "Infiltration",
    "consolidation": "Consolidation",
    "effusion": "Pleural effusion",
    "pneumothorax": "Pneumothorax",
    "cardiomegaly": "Cardiomegaly",
    "atelectasis": "Atelectasis",
    "nodule": "Nodule/Mass",
    "fibrosis": "Pulmonary fibrosis",
    "pleural_thickening": "Pleural thickening",
    "hernia": "Other lesion",
}
READERS = ("R1", "R2", "R3")
# By which one reader finds a mark, and the share of its size by which the corners differ.
SEEN, SPREAD = 0.85, 0.05
Marks = list[tuple[str, tuple[float, ...]]]


def read_by(patient: Patient, study: Study, film: Film, reader: int, seen: float = SEEN) -> Marks:
    """Return what one reader marks: names and corners (left, top, right, bottom)."""
    rng = patient.rng(6, study.number, reader)
    height, width = film.pixels.shape
    marks: Marks = []
    for mark in film.marks:
        # Drawn for each mark, so that a reader who misses one sees the others alike.
        missed, noise = rng.random() >= seen, rng.normal(0, SPREAD, 4)
        x, y, w, h = tight_box(mark.mask)
        if missed or mark.finding.kind not in NAMES:
            continue
        left, right = x + noise[0] * w, x + w + noise[1] * w
        top, bottom = y + noise[2] * h, y + h + noise[3] * h
        corners = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
        marks.append((NAMES[mark.finding.kind], tuple(round(float(v), 1) for v in corners)))
    return marks
