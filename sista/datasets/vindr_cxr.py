"""VinDr-CXR (Nguyen et al., Scientific Data 2022): 28 findings by radiologists, boxes for 22."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._source import Row, first_existing, once, rows
from sista.datasets._votes import TOGETHER, Votes, original_sizes, votes
from sista.errors import UserError
from sista.preparation.consensus import agreed_boxes, agreed_labels
from sista.preparation.image_record import Box, ImageRecord, LeftOut

LOCAL = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Clavicle fracture",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Enlarged PA",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Lung cavity",
    "Lung cyst",
    "Mediastinal shift",
    "Nodule/Mass",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "Rib fracture",
    "Other lesion",
)
GLOBAL = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding")
LABELS = (*LOCAL, *GLOBAL)
HOMES = ("annotations/", "")
PARTS = ("train", "test")
# `vindr_cxr+any`: by which rule the three readers of a film become one; the first is the default.
READINGS = ("majority", "any", "all")
Readings = dict[str, list[tuple[Row, dict[str, float]]]]


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without the table of labels."""
    return "1.0.0" if _table(folder, "image_labels", "train") else None


def _table(folder: Path, kind: str, part: str) -> Path | None:
    return first_existing(folder, [f"{home}{kind}_{part}.csv" for home in HOMES])


def read(folder: Path, rule: str = READINGS[0]) -> Iterator[ImageRecord]:
    """Yield one record per film.

    Three radiologists read each training film; a test film has the consensus of five.

    Args:
        folder: of the download.
        rule: by which the three become one, see `sista.preparation.consensus`.
    """
    films, sizes = Films(folder), original_sizes(folder)
    seen: set[str] = set()
    for part in PARTS:
        labels = _table(folder, "image_labels", part)
        boxes = _table(folder, "annotations", part)
        if labels is None or boxes is None:
            lacking = "image_labels" if labels is None else "annotations"
            raise UserError(
                f"{folder / HOMES[0]}{lacking}_{part}.csv: no such file; complete the download"
            )
        marked = votes(boxes, LOCAL, sizes, GLOBAL)
        for name, readings in _readings(labels).items():
            row = readings[0][0]
            once(seen, name, row)
            path = films.path(row, name, f"{part}/{name}.dicom", f"{part}/{name}.dcm")
            votes_of = marked.pop(name, None) or Votes(row)
            yield ImageRecord(
                image_id=name,
                patient_id=None,
                path=path,
                where=row.where,
                labels=agreed_labels([given for _, given in readings], rule),
                boxes=agreed_boxes(_by_reader(readings, votes_of), rule),
                official=part,
                frame=votes_of.native(path, folder),
            )
        if marked:
            row = next(iter(marked.values())).first
            raise row.error(f"{len(marked)} boxed films have no row in {labels}; get both again")


def _readings(table: Path) -> Readings:
    found: Readings = {}
    for row in rows(table, ("image_id", *LABELS), optional=("rad_id",)):
        values = {name: row.finding(name) or 0.0 for name in LABELS}
        found.setdefault(row.text("image_id"), []).append((row, values))
    return found


def _by_reader(readings: list[tuple[Row, dict[str, float]]], marked: Votes) -> list[list[Box]]:
    """Return the boxes of each reader, also of those who marked nothing."""
    names = [row.values.get("rad_id") or TOGETHER for row, _ in readings]
    return [marked.boxes.get(name, []) for name in dict.fromkeys([*names, *marked.boxes])]


def _entries(folder: Path, rule: str) -> Iterator[ImageRecord | LeftOut]:
    yield from read(folder, rule)


vindr_cxr = Dataset(
    word="vindr_cxr",
    title="VinDr-CXR",
    release=release,
    read=read,
    readings={rule: partial(_entries, rule=rule) for rule in READINGS},
    layout=(
        "annotations/image_labels_{train,test}.csv",
        "annotations/annotations_{train,test}.csv",
        "train/*.dicom and test/*.dicom",
        "train_meta.csv (for resized films: the size of the originals)",
    ),
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    access="PhysioNet credentialed access (training course and data use agreement)",
    url="https://physionet.org/content/vindr-cxr/1.0.0/",
    citation="Nguyen et al., VinDr-CXR: An open dataset of chest X-rays with radiologist's "
    "annotations, Scientific Data 2022",
    counts={"1.0.0": 18000},
    labels=LABELS,
    box_labels=LOCAL,
    credentialed=True,
)
