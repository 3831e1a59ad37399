"""MS-CXR (Boecking et al., ECCV 2022): phrases of MIMIC-CXR reports with boxes, for grounding."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._json import coco, whole
from sista.datasets._source import Place, rows
from sista.preparation.image_record import Box, ImageRecord
from sista.preparation.masks import FilledBoxes
from sista.text.cleaning import of_parts

LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Lung Opacity",
    "Pleural Effusion",
    "Pneumonia",
    "Pneumothorax",
)
NAME = re.compile(r"MS_CXR_Local_Alignment_v([0-9.]+)\.(csv|json)")
NEEDED = ("dicom_id", "category_name", "label_text", "path")
NUMBERS = ("x", "y", "w", "h", "image_width", "image_height")
SUBSETS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
IN_PATH = re.compile(r"p(\d{8})/s(\d+)/")


@dataclass
class _Phrases:
    """What the boxes of one film say."""

    place: Place
    where: str
    path: str
    frame: tuple[float, float]
    boxes: list[Box] = field(default_factory=list)
    texts: dict[str, None] = field(default_factory=dict)
    subset: str | None = None


def release(folder: Path) -> str | None:
    """Return the version in the name of the table, None without one."""
    table = _table(folder)
    named = NAME.fullmatch(table.name) if table else None
    return named[1] if named else None


def _table(folder: Path) -> Path | None:
    """Return the latest table; the CSV file of a version before its JSON file."""
    found = [p for p in folder.glob("MS_CXR_Local_Alignment_v*") if NAME.fullmatch(p.name)]
    return max(found, key=lambda p: (p.stem, p.suffix == ".csv"), default=None)


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film: boxes, the region of each finding, its phrases as the text.

    The films are those of MIMIC-CXR, of its training set as well: leave its patients out of
    pre-training, or look at the test set of MIMIC alone. Version 1.1.0 has sets of its own.
    """
    films = Films(folder)
    table = _table(folder) or folder / "MS_CXR_Local_Alignment_v1.1.0.csv"
    found = _from_csv(table) if table.suffix == ".csv" else _from_json(table)
    for name, film in found.items():
        named = IN_PATH.search(film.path)
        if named is None:
            raise film.place.error(
                "the path names no patient and study of MIMIC-CXR; get the file again"
            )
        path = films.path(film.place, f"{name}.jpg", film.path, f"{film.path[:-4]}.dcm")
        boxes: dict[str, list[tuple[float, float, float, float]]] = {}
        for box in film.boxes:
            boxes.setdefault(box.label, []).append((box.x, box.y, box.w, box.h))
        yield ImageRecord(
            image_id=name,
            patient_id=named[1],
            study_id=named[2],
            path=path,
            where=film.where,
            labels={label: 1.0 for label in boxes},
            boxes=tuple(film.boxes),
            regions={label: FilledBoxes(tuple(each)) for label, each in boxes.items()},
            report=of_parts(*film.texts),
            official=film.subset,
            frame=film.frame,
        )


def _from_csv(table: Path) -> dict[str, _Phrases]:
    found: dict[str, _Phrases] = {}
    for row in rows(table, (*NEEDED, *NUMBERS), optional=("split",), prose=("label_text",)):
        x, y, w, h, *size = (row.number_in(name) for name in NUMBERS)
        values = [row.text(name) for name in NEEDED]
        subset = row.values.get("split") or None
        _add(found, row, row.where, values, Box(values[1], x, y, w, h, row.where), size, subset)
    return found


def _from_json(table: Path) -> dict[str, _Phrases]:
    found: dict[str, _Phrases] = {}
    for image, label, node in coco(whole(table))[1]:
        x, y, w, h = node.need("bbox").numbers(4)
        size = [image.need(side).number() for side in ("width", "height")]
        path = image.need("path").text()
        stem = path.rpartition("/")[2].rpartition(".")[0]
        values = [stem, label, node.need("label_text").text(), path]
        given = image.get("split")
        subset = given.text() if given else None
        _add(found, node, node.where, values, Box(label, x, y, w, h, node.where), size, subset)
    return found


def _add(
    found: dict[str, _Phrases],
    place: Place,
    where: str,
    values: list[str],
    box: Box,
    size: list[float],
    subset: str | None,
) -> None:
    name, label, phrase, path = values
    if label not in LABELS:
        raise place.error(f"unknown category; valid: {', '.join(LABELS)}")
    if min(size) <= 0:
        raise place.error("width and height of the image must be above 0; get the file again")
    if subset is not None and subset not in SUBSETS:
        raise place.error(f"unknown split; valid: {', '.join(SUBSETS)}")
    film = found.setdefault(name, _Phrases(place, where, path, (size[0], size[1])))
    if film.path != path or film.frame != (size[0], size[1]):
        raise place.error("path or size differ from an earlier row of the film; get the file again")
    film.boxes.append(box)
    film.texts[phrase] = None
    film.subset = SUBSETS[subset] if subset else None


ms_cxr = Dataset(
    word="ms_cxr",
    title="MS-CXR, phrases and boxes on films of MIMIC-CXR",
    release=release,
    read=read,
    layout=(
        "MS_CXR_Local_Alignment_v*.csv or *.json",
        "files/p10/p10000032/s50414267/*.jpg, the films of MIMIC-CXR-JPG: put the table into "
        "that folder, and link the folder as ms_cxr",
    ),
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    access="PhysioNet credentialed access (training course and data use agreement)",
    url="https://physionet.org/content/ms-cxr/",
    citation="Boecking et al., Making the Most of Text Semantics to Improve Biomedical "
    "Vision-Language Processing, ECCV 2022",
    labels=LABELS,
    box_labels=LABELS,
    credentialed=True,
)
