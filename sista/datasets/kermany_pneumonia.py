"""Kermany paediatric pneumonia (Mendeley Data 2018): three classes, lung outlines."""

import re
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._download import RemoteFile
from sista.datasets._inside import inside
from sista.datasets._source import Row, given, once, relative, rows
from sista.errors import UserError
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.preparation.masks import MaskFile

FOLDER = "chest_xray"
PATIENTS = "patients.csv"
CLASSES = {
    "normal": "Normal",
    "bacterial pneumonia": "Bacterial Pneumonia",
    "viral pneumonia": "Viral Pneumonia",
}
LABELS = tuple(CLASSES.values())
_SICK = re.compile(r"(person\d+)_(bacteria|virus)", re.IGNORECASE)
# In IM-0115-0001.jpeg the first number is taken for the patient; NORMAL2- has its own count.
_NORMAL = re.compile(r"((?:NORMAL2-)?IM-\d+)", re.IGNORECASE)


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without `chest_xray/train`."""
    return "v2" if (folder / FOLDER / "train").is_dir() else None


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film, from `patients.csv` if it is there, else from the file names.

    The folders train and test share patients, so they are never used as sets: the sets are those
    of `split_by_patient`, else drawn.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and how many films have no mask."""
    table, without = folder / PATIENTS, 0
    for record in _from_table(folder, table) if given(table) else _from_names(folder):
        without += record.mask is None
        yield record
    if without:
        yield LeftOut("masks of the lungs", "these films have none", count=without)


def _from_table(folder: Path, table: Path) -> Iterator[ImageRecord]:
    seen: set[str] = set()
    for row in rows(table, ("file", "patient_id", "label", "split_by_patient", "mask_lung")):
        file, label, mask = row.text("file"), row.text("label"), row.values["mask_lung"]
        once(seen, file, row)
        if label not in CLASSES:
            raise row.error(f"unknown label; valid: {', '.join(CLASSES)}")
        subset = row.text("split_by_patient")
        if subset not in ("train", "val", "test"):
            raise row.error("column 'split_by_patient' must hold train, val or test")
        yield ImageRecord(
            image_id=Path(file).stem,
            patient_id=row.text("patient_id"),
            path=relative(folder, file, row),
            where=row.where,
            labels={name: float(name == CLASSES[label]) for name in LABELS},
            mask=MaskFile(relative(folder, mask, row)) if mask else None,
            official=subset,
        )


def _from_names(folder: Path) -> Iterator[ImageRecord]:
    for number, path in enumerate(sorted((folder / FOLDER).glob("*/*/*.jpeg")), start=1):
        sick, normal = _SICK.search(path.name), _NORMAL.search(path.name)
        if path.parent.name == "NORMAL" and normal:
            patient, label = normal.group(1).upper(), "Normal"
        elif path.parent.name == "PNEUMONIA" and sick:
            kind = "Bacterial" if sick.group(2).lower() == "bacteria" else "Viral"
            patient, label = sick.group(1).lower(), f"{kind} Pneumonia"
        else:
            raise UserError(f"{path}: not a file name of this data set; remove the file")
        if not inside(folder, path):
            raise UserError(f"{path}: a symbolic link out of the data folder; put the file there")
        mask = f"masks_lung/{path.stem}.png"
        row = Row(folder / FOLDER, number, {})
        yield ImageRecord(
            image_id=path.stem,
            patient_id=patient,
            path=relative(folder, path.relative_to(folder).as_posix(), row),
            where=str(path),
            labels={name: float(name == label) for name in LABELS},
            mask=MaskFile(relative(folder, mask, row)) if given(folder / mask) else None,
        )


kermany_pneumonia = Dataset(
    word="kermany_pneumonia",
    title="the chest X-ray set of Kermany, Zhang and Goldbaum (children)",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "chest_xray/train/{NORMAL,PNEUMONIA}/*.jpeg",
        "chest_xray/test/{NORMAL,PNEUMONIA}/*.jpeg",
        "patients.csv (optional)",
        "masks_lung/*.png (optional)",
    ),
    licence="CC BY 4.0",
    access="open download",
    url="https://data.mendeley.com/datasets/rscbjbr9sj/2",
    citation="Kermany, Zhang, Goldbaum, Labeled Optical Coherence Tomography (OCT) and Chest X-Ray "
    "Images for Classification, Mendeley Data 2018",
    files=(
        RemoteFile(
            "ChestXRay2017.zip",
            (
                "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
                "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded",
            ),
        ),
    ),
    counts={"v2": 5856},
    labels=LABELS,
    mask_label="Lung",
    multiclass=True,
    redistributable=True,
)
