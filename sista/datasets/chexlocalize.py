"""CheXlocalize (Saporta et al., Nature MI 2022): outlined findings on CheXpert's val and test."""

import json
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._json import entries as json_entries
from sista.datasets._source import first_existing, once, rows
from sista.datasets.chexpert import COMPETITION, FINDINGS
from sista.errors import UserError
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.preparation.masks import CocoRle

# By our names; the outlines have the older one of lung opacity.
OUTLINED = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Lesion",
    "Lung Opacity",
    "Edema",
    "Consolidation",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Support Devices",
)
OTHER_NAMES = {"Airspace Opacity": "Lung Opacity"}
PARTS = ("val", "test")
OUTLINES = ("CheXlocalize/gt_segmentations_{}.json", "gt_segmentations_{}.json")
LABELS = ("CheXpert/{}_labels.csv", "{}_labels.csv")
FILMS = ("CheXpert/", "")


def release(folder: Path) -> str | None:
    """Return the parts in a folder, None without outlines."""
    found = [part for part in PARTS if _file(folder, OUTLINES, part)]
    return " and ".join(found) or None


def _file(folder: Path, names: tuple[str, ...], part: str) -> Path | None:
    return first_existing(folder, [name.format(part) for name in names])


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per frontal film; its regions are the outlined findings.

    A film without an outline has none of the ten findings. There is no training set.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and the lateral films."""
    films = Films(folder)
    seen: set[str] = set()
    for part in PARTS:
        outlines = _file(folder, OUTLINES, part)
        if outlines is None:
            continue
        table = _file(folder, LABELS, part)
        if table is None:
            lacking = folder / LABELS[0].format(part)
            raise UserError(f"{lacking}: no such file; complete the download")
        regions = dict(_regions(outlines))
        for row in rows(table, ("Path", *COMPETITION), optional=FINDINGS):
            parts = row.text("Path").replace("\\", "/").split("/")
            if len(parts) < 3:
                raise row.error(
                    "column 'Path' names no patient and study folder; use the original file"
                )
            name = "/".join(parts[-3:])
            once(seen, name, row)
            # The table of val has the folders of CheXpert, `valid`.
            path = films.path(row, name, *(f"{start}{part}/{name}" for start in FILMS))
            stem = name.rsplit(".", 1)[0]
            found = regions.pop(stem.replace("/", "_"), {})
            if "lateral" in parts[-1]:
                yield LeftOut("films", "lateral view", row.where, path)
                continue
            values = {label: row.finding(label) for label in FINDINGS if label in row.values}
            yield ImageRecord(
                image_id=stem,
                patient_id=parts[-3],
                study_id="/".join(parts[-3:-1]),
                path=path,
                where=row.where,
                labels={label: value for label, value in values.items() if value is not None},
                regions=found,
                official=part,
            )
        if regions:
            raise UserError(f"{outlines}: {len(regions)} films are not in {table}; get both again")


def _regions(file: Path) -> Iterator[tuple[str, dict[str, CocoRle]]]:
    for node in json_entries(file):
        found: dict[str, CocoRle] = {}
        for given, outline in node.items():
            label = OTHER_NAMES.get(given, given)
            if label not in OUTLINED:
                raise node.error(f"unknown finding; valid: {', '.join(OUTLINED)}")
            outline.need("counts").text()
            outline.need("size").numbers(2)
            found[label] = CocoRle(json.dumps(outline.value))
        yield node.place.removeprefix("."), found


chexlocalize = Dataset(
    word="chexlocalize",
    title="CheXlocalize, outlines on CheXpert's validation and test films",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "CheXlocalize/gt_segmentations_{val,test}.json",
        "CheXpert/{val,test}_labels.csv",
        "CheXpert/{val,test}/patient64541/study1/view1_frontal.jpg",
    ),
    licence="Stanford University Dataset Research Use Agreement: non-commercial research",
    access="registration at Stanford AIMI",
    url="https://stanfordaimi.azurewebsites.net/datasets/abfb76e5-70d5-4315-badc-c94dd82e3d6d",
    citation="Saporta et al., Benchmarking saliency methods for chest X-ray interpretation, "
    "Nature Machine Intelligence 2022",
    # 202 of 234 and 518 of 668 films are frontal.
    counts={"val and test": 720, "val": 202, "test": 518},
    published={"val and test": 902, "val": 234, "test": 668},
    labels=COMPETITION,
    all_labels=FINDINGS,
)
