"""ChestX-Det10 (Liu et al., 2020) and ChestX-Det (2021): boxes on films of NIH ChestX-ray14."""

from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._download import RemoteFile
from sista.datasets._films import Films
from sista.datasets._json import Node, entries
from sista.datasets._source import first_existing, once
from sista.errors import UserError
from sista.preparation.image_record import Box, ImageRecord

TEN = (
    "Atelectasis",
    "Calcification",
    "Consolidation",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Fracture",
    "Mass",
    "Nodule",
    "Pneumothorax",
)
THIRTEEN = (*TEN, "Cardiomegaly", "Diffuse Nodule", "Pleural Thickening")
PARTS = ("train", "test")
REPOSITORY = "https://raw.githubusercontent.com/Deepwise-AILab/ChestX-Det-Dataset/main"
# Clones of the two repositories, with the lists at their top or beside the films.
LISTS = {
    "ChestX-Det10": ("{}.json", "{}/{}.json", "{}_data/{}.json"),
    "ChestX-Det": ("ChestX_Det_{}.json",),
}
FILMS = ("{}_data/", "{}_data/{}_data/", "{}/", "{}/{}_data/")
LABELS = {"ChestX-Det10": TEN, "ChestX-Det": THIRTEEN}


def release(folder: Path) -> str | None:
    """Return which of the two sets a folder holds, None without its lists."""
    return next((name for name in LISTS if _list(folder, name, PARTS[0])), None)


def _list(folder: Path, name: str, part: str) -> Path | None:
    file = first_existing(folder, [place.format(part, part) for place in LISTS[name]])
    if file is None or part != PARTS[0]:
        return file
    # Many sets have a `train.json`.
    first = next(entries(file), None)
    return file if first and isinstance(first.value, dict) and "syms" in first.value else None


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film.

    The films are renamed ones of NIH ChestX-ray14, and no list says which: pre-train on one of the
    two sets, or not at all on either. No patients are named.
    """
    name = release(folder) or "ChestX-Det10"
    films = Films(folder)
    seen: set[str] = set()
    for part in PARTS:
        file = _list(folder, name, part)
        if file is None:
            raise UserError(f"{folder}: lacks the list of its {part} films; complete the download")
        for node in entries(file):
            film = node.need("file_name").text()
            once(seen, f"{part}/{film}", node)
            places = (f"{place.format(part, part)}{film}" for place in FILMS)
            boxes = _boxes(node, LABELS[name])
            found = {box.label for box in boxes}
            yield ImageRecord(
                image_id=f"{part}/{film.rsplit('.', 1)[0]}",
                patient_id=None,
                path=films.path(node, film, *places),
                where=node.where,
                labels={label: float(label in found) for label in LABELS[name]},
                boxes=boxes,
                official=part,
            )


def _boxes(node: Node, labels: tuple[str, ...]) -> tuple[Box, ...]:
    names, corners = node.need("syms").each(), node.need("boxes").each()
    if len(names) != len(corners):
        raise node.error(f"{len(names)} syms and {len(corners)} boxes; get the file again")
    boxes = []
    for name, box in zip(names, corners, strict=True):
        if name.text() not in labels:
            raise name.error(f"unknown finding; valid: {', '.join(labels)}")
        left, top, right, bottom = box.numbers(4)
        boxes.append(Box(name.text(), left, top, right - left, bottom - top, box.where))
    return tuple(boxes)


chestx_det10 = Dataset(
    word="chestx_det10",
    title="ChestX-Det10, or ChestX-Det with 13 findings",
    release=release,
    read=read,
    layout=(
        "train.json and test.json (or ChestX_Det_*.json)",
        "train_data/*.png",
        "test_data/*.png",
    ),
    licence="not stated with the annotations (Apache-2.0 on the later repository); films: NIH",
    access="open download",
    url="https://github.com/Deepwise-AILab/ChestX-Det10-Dataset",
    citation="Liu, Lian, Yu, ChestX-Det10: Chest X-ray Dataset on Detection of Thoracic "
    "Abnormalities, arXiv:2006.10550",
    # Of ChestX-Det, whose films and checksums public readers agree on.
    files=(
        RemoteFile(
            "train_data.zip",
            ("http://resource.deepwise.com/ChestX-Det/train_data.zip",),
            "sha256:413f74a03383280e2d63f6215c8eb581aa386cfec323fb4148f0916d2f5f2900",
        ),
        RemoteFile(
            "test_data.zip",
            ("http://resource.deepwise.com/ChestX-Det/test_data.zip",),
            "sha256:c52677d1e4043bf425bc997d62db2a780f6260ea1d67ad37c65fe3b2ffdef14f",
        ),
        *(
            RemoteFile(name, (f"{REPOSITORY}/{name}",))
            for name in ("ChestX_Det_train.json", "ChestX_Det_test.json")
        ),
    ),
    counts={"ChestX-Det10": 3543, "ChestX-Det": 3578},
    labels=TEN,
    release_labels={"ChestX-Det": THIRTEEN},
    box_labels=THIRTEEN,
    # All films of the release are 1024 x 1024.
    annotation_side=1024,
)
