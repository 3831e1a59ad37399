"""TBX11K (Liu et al., CVPR 2020): healthy, sick or tuberculosis, with boxes of tuberculosis."""

import ast
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._json import Node, coco, whole
from sista.datasets._source import Row, once, rows
from sista.preparation.image_record import Box, ImageRecord

LABELS = ("Healthy", "Sick", "Tuberculosis")
# Folder of a film in the official packing, and `image_type` of Kaggle's table.
KINDS = {
    "health": "Healthy",
    "healthy": "Healthy",
    "sick": "Sick",
    "sick_but_no_tb": "Sick",
    "sick_but_non_tb": "Sick",
    "tb": "Tuberculosis",
}
BOXES = {
    "ActiveTuberculosis": "Active Tuberculosis",
    "ObsoletePulmonaryTuberculosis": "Latent Tuberculosis",
    "PulmonaryTuberculosis": "Tuberculosis",
    "active_tb": "Active Tuberculosis",
    "latent_tb": "Latent Tuberculosis",
}
JSON = "annotations/json/TBX11K_{}.json"
TABLE, NEEDED = "data.csv", ("fname", "source", "bbox", "tb_type", "image_type")
SUBSETS = ("train", "val")
CORNERS = ("xmin", "ymin", "width", "height")


def release(folder: Path) -> str | None:
    """Return the packing in a folder, None without annotations."""
    if (folder / JSON.format("train")).is_file():
        return "official"
    if not (folder / TABLE).is_file():
        return None
    names = next((row.values for row in rows(folder / TABLE, ())), {})
    return "simplified" if set(NEEDED) <= set(names) else None


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film of the training and validation sets.

    The labels of the test set are withheld: the test set of this project is drawn from the
    training films. The films of other sets (`imgs/extra`) are not read.
    """
    found = _from_json(folder) if release(folder) == "official" else _from_table(folder)
    yield from found


def _from_json(folder: Path) -> Iterator[ImageRecord]:
    films = Films(folder)
    seen: set[str] = set()
    for subset in SUBSETS:
        images, annotations = coco(whole(folder / JSON.format(subset)))
        boxes: dict[str, list[Box]] = {}
        for image, category, node in annotations:
            if category not in BOXES:
                raise node.error(f"unknown category; valid: {', '.join(BOXES)}")
            x, y, w, h = node.need("bbox").numbers(4)
            box = Box(BOXES[category], x, y, w, h, node.where)
            boxes.setdefault(image.place, []).append(box)
        for image in images:
            yield _film(image, films, seen, tuple(boxes.get(image.place, ())), subset)


def _film(
    image: Node, films: Films, seen: set[str], boxes: tuple[Box, ...], subset: str
) -> ImageRecord:
    name = image.need("file_name").text()
    once(seen, name, image)
    kind = KINDS.get(name.partition("/")[0])
    if kind is None:
        raise image.error("file_name begins with none of health/, sick/ and tb/; get it again")
    return ImageRecord(
        image_id=name.rsplit(".", 1)[0],
        patient_id=None,
        path=films.path(image, name.rpartition("/")[2], f"imgs/{name}"),
        where=image.where,
        labels={label: float(label == kind) for label in LABELS},
        boxes=boxes,
        official=subset,
    )


def _from_table(folder: Path) -> Iterator[ImageRecord]:
    films = Films(folder)
    boxes: dict[str, list[Box]] = {}
    named: dict[str, Row] = {}
    for row in rows(folder / TABLE, NEEDED):
        name = row.text("fname")
        if row.text("image_type") not in KINDS or row.text("source") not in SUBSETS:
            raise row.error(
                f"image_type must be one of {', '.join(KINDS)}, and source train or val"
            )
        first = named.setdefault(name, row)
        if first.values["image_type"] != row.values["image_type"]:
            raise row.error(
                "image_type differs from an earlier row of the film; get the file again"
            )
        boxes.setdefault(name, []).extend(_box(row))
    for name, row in named.items():
        kind = KINDS[row.text("image_type")]
        yield ImageRecord(
            image_id=f"{row.text('image_type')}/{name.rsplit('.', 1)[0]}",
            patient_id=None,
            path=films.path(row, name, f"images/{name}"),
            where=row.where,
            labels={label: float(label == kind) for label in LABELS},
            boxes=tuple(boxes[name]),
            official=row.text("source"),
        )


def _box(row: Row) -> list[Box]:
    """Return the box of a cell such as `{'xmin': 1.0, 'ymin': 2.0, 'width': 3.0, ...}`."""
    if row.text("bbox") == "none":
        return []
    try:
        sides = ast.literal_eval(row.text("bbox"))
        x, y, w, h = (float(sides[corner]) for corner in CORNERS)
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError) as error:
        names = ", ".join(CORNERS)
        raise row.error(f"column 'bbox' must hold {names}, or none; get it again") from error
    if row.text("tb_type") not in BOXES:
        raise row.error("a box needs tb_type active_tb or latent_tb; get the file again")
    return [Box(BOXES[row.text("tb_type")], x, y, w, h, row.where)]


tbx11k = Dataset(
    word="tbx11k",
    title="TBX11K (tuberculosis)",
    release=release,
    read=read,
    layout=(
        "annotations/json/TBX11K_{train,val}.json",
        "imgs/{health,sick,tb}/*.png",
        f"or {TABLE} and images/*.png (Kaggle, `TBX11K simplified`)",
    ),
    licence="CC BY-NC-SA 4.0 in the words of mirrors; the authors' page has the terms",
    access="open download from the authors' page; Kaggle account for the mirror",
    url="https://mmcheng.net/tb/",
    citation="Liu et al., Rethinking Computer-aided Tuberculosis Diagnosis, CVPR 2020",
    counts={"official": 8400, "simplified": 8400},
    labels=LABELS,
    box_labels=tuple(dict.fromkeys(BOXES.values())),
    multiclass=True,
    # All films of the release are 512 x 512.
    annotation_side=512,
)
