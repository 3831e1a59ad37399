"""VinBigData (Kaggle 2021): VinDr-CXR's training films with 14 boxed findings, DICOM or resized."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._source import rows
from sista.datasets._votes import NONE, SIDES, original_sizes, votes
from sista.preparation.consensus import agreed_boxes, agreed_labels
from sista.preparation.image_record import ImageRecord, LeftOut

FINDINGS = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Consolidation",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Nodule/Mass",
    "Other lesion",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
)
TABLE = "train.csv"
# `vinbigdata+any`: by which rule the three readers of a film become one; the first is the default.
READINGS = ("majority", "any", "all")


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without a table of boxes by radiologists."""
    if not (folder / TABLE).is_file():
        return None
    # Many data sets have a `train.csv`.
    names = next((row.values for row in rows(folder / TABLE, ())), {})
    return "2021" if {"image_id", "class_name", "rad_id", *SIDES} <= set(names) else None


def read(folder: Path, rule: str = READINGS[0]) -> Iterator[ImageRecord]:
    """Yield one record per training film; the test films have no public labels.

    Args:
        folder: of the download.
        rule: by which the three readings of a film become one, see `sista.preparation.consensus`.
    """
    films = Films(folder)
    for name, film in votes(folder / TABLE, FINDINGS, original_sizes(folder)).items():
        labels = agreed_labels(film.found(), rule)
        path = films.path(film.first, name, f"train/{name}.dicom")
        yield ImageRecord(
            image_id=name,
            patient_id=None,
            path=path,
            where=film.first.where,
            labels={label: labels.get(label, 0.0) for label in (*FINDINGS, NONE)},
            boxes=agreed_boxes(list(film.boxes.values()), rule),
            frame=film.native(path, folder),
        )


def _entries(folder: Path, rule: str) -> Iterator[ImageRecord | LeftOut]:
    yield from read(folder, rule)


vinbigdata = Dataset(
    word="vinbigdata",
    title="VinBigData Chest X-ray Abnormalities Detection",
    release=release,
    read=read,
    readings={rule: partial(_entries, rule=rule) for rule in READINGS},
    layout=(
        TABLE,
        "train/*.dicom, or *.png and *.jpg of a resized copy",
        "train_meta.csv (of a resized copy whose table has no width and height)",
    ),
    licence="challenge terms: non-commercial research and education",
    access="Kaggle account and acceptance of the challenge terms; resized copies by others",
    url="https://www.kaggle.com/c/vinbigdata-chest-xray-abnormalities-detection",
    citation="Nguyen et al., VinDr-CXR: An open dataset of chest X-rays with radiologist's "
    "annotations, Scientific Data 2022",
    counts={"2021": 15000},
    labels=(*FINDINGS, NONE),
    box_labels=FINDINGS,
)
