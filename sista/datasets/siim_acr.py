"""SIIM-ACR Pneumothorax Segmentation (2019): DICOM with relative run-length masks."""

from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._inside import inside
from sista.datasets._source import Row, rows
from sista.errors import UserError
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.preparation.masks import EMPTY_RLE, RelativeRle

TABLES = {"stage_2_train.csv": "stage 2", "train-rle.csv": "stage 1"}
FOLDERS = ("dicom-images-train", "dicom-images-test", "stage_2_images", ".")


def release(folder: Path) -> str | None:
    """Return `stage 2` or `stage 1` by the table that is there, else None."""
    return next((name for file, name in TABLES.items() if (folder / file).is_file()), None)


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per image; several rows of one image are one mask (their union).

    The patient is the PatientID of the DICOM header.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and rows that say again what an earlier one says."""
    # Stage 2 comes first in TABLES: it replaces stage 1 where a folder holds both.
    table = next(folder / file for file in TABLES if (folder / file).is_file())
    runs: dict[str, list[str]] = {}
    named: dict[str, Row] = {}
    for row in rows(table, ("ImageId", "EncodedPixels"), known=()):
        name, code = row.text("ImageId"), row.text("EncodedPixels")
        known = runs.setdefault(name, [])
        if code in known:
            yield LeftOut("rows", "the same run lengths of the same film stand twice", row.where)
            continue
        if known and EMPTY_RLE in (code, *known):
            raise row.error(
                "an earlier row of this film disagrees on -1 (no finding); correct one of them"
            )
        known.append(code)
        named.setdefault(name, row)
    paths = _paths(folder)
    for name, row in named.items():
        if name not in paths:
            raise row.error("no DICOM file of this name; complete the download of the images")
        codes = tuple(runs[name])
        yield ImageRecord(
            image_id=name,
            patient_id=None,
            path=paths[name],
            where=row.where,
            # The download writes " -1"; `rows` has stripped the blank.
            labels={"Pneumothorax": float(any(code != EMPTY_RLE for code in codes))},
            mask=RelativeRle(codes),
        )


def _paths(folder: Path) -> dict[str, str]:
    """Return the path of every DICOM file by its stem (the SOP instance UID)."""
    paths: dict[str, str] = {}
    for start in FOLDERS:
        pattern = "*.dcm" if start == "." else f"{start}/**/*.dcm"
        for path in sorted(folder.glob(pattern)):
            if path.is_symlink() and not inside(folder, path):
                raise UserError(
                    f"{path}: a symbolic link out of the data folder; put the file there"
                )
            paths.setdefault(path.stem, path.relative_to(folder).as_posix())
    return paths


siim_acr = Dataset(
    word="siim_acr",
    title="the SIIM-ACR Pneumothorax Segmentation challenge",
    release=release,
    read=read,
    entries=entries,
    layout=("train-rle.csv or stage_2_train.csv", "dicom-images-train/*/*/*.dcm"),
    licence="challenge terms: non-commercial research and education",
    access="Kaggle account and acceptance of the challenge terms",
    url="https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation",
    citation="Society for Imaging Informatics in Medicine: SIIM-ACR Pneumothorax Segmentation 2019",
    counts={"stage 1": 10675, "stage 2": 12047},
    labels=("Pneumothorax",),
    mask_label="Pneumothorax",
    # All films of the release are 1024 x 1024.
    annotation_side=1024,
)
