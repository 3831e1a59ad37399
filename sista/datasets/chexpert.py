"""CheXpert, small and full (Irvin et al., AAAI 2019): frontal films, 14 findings with -1."""

from collections.abc import Iterator
from os.path import isfile
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._source import Row, once, relative, rows
from sista.preparation.image_record import ImageRecord, LeftOut, only_records

FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
COMPETITION = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
ABOUT = ("Path", "Frontal/Lateral", "AP/PA")
UNUSED = ("Sex", "Gender", "Age")
FOLDERS = ("", "CheXpert-v1.0-small", "CheXpert-v1.0")
# Since 2021: "CheXpert-v1.0 batch 1 (validate & csv)" with the tables, the films in all of them.
BATCHES = ("*batch*", "*Batch*", "*BATCH*")
# The source's validation films are the family protocol's test set; val is drawn from train.
TABLES = {"train.csv": "train", "valid.csv": "test"}


def release(folder: Path) -> str | None:
    """Return `small` or `full` (by the paths in the table), None without `train.csv`."""
    base = _base(folder)
    if base is None:
        return None
    # Both releases hold the same films and tables; only the paths tell the resolution.
    first = next(rows(folder / base / "train.csv", ABOUT), None)
    path = first.values["Path"] if first else ""
    return "v1.0 small" if path.startswith("CheXpert-v1.0-small") else "v1.0 full"


def _base(folder: Path) -> str | None:
    names = (*FOLDERS, *_batches(folder))
    return next((name for name in names if (folder / name / "train.csv").is_file()), None)


def _batches(folder: Path) -> list[str]:
    found = {path.name for pattern in BATCHES for path in folder.glob(pattern) if path.is_dir()}
    return sorted(found)


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per frontal film of `train.csv` and `valid.csv`."""
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and the lateral films."""
    base = _base(folder) or ""
    batches = _batches(folder)
    seen: set[str] = set()
    for table, subset in TABLES.items():
        for row in rows(folder / base / table, (*ABOUT, *FINDINGS), known=UNUSED):
            path = _path(folder, base, batches, row)
            once(seen, path, row)
            if row.text("Frontal/Lateral") != "Frontal":
                yield LeftOut("films", "lateral view", row.where, path)
                continue
            yield _record(folder, path, subset, row)


def _path(folder: Path, base: str, batches: list[str], row: Row) -> str:
    """Return the film's path below the source folder, whichever folder the table stands in."""
    named = row.text("Path").replace("\\", "/")
    first, _, rest = named.partition("/")
    inner = rest if first.startswith("CheXpert") else named
    usual = f"{base}/{inner}" if base else inner
    # The tables may lie beside the folder of the films.
    places = [usual, *(f"{name}/{inner}" for name in FOLDERS if name)]
    # A batch holds the patients at its top, or in train/ and valid/ as in one piece.
    patient = inner.partition("/")[2]
    places += [f"{batch}/{part}" for batch in batches for part in (inner, patient)]
    return next((place for place in places if isfile(folder / place)), usual)


def _record(folder: Path, path: str, subset: str, row: Row) -> ImageRecord:
    parts = path.split("/")
    patient = next((part for part in parts if part.startswith("patient")), None)
    study = next((part for part in parts if part.startswith("study")), None)
    if patient is None or study is None:
        raise row.error("column 'Path' names no patient and study folder; use the original file")
    values = {name: row.finding(name) for name in FINDINGS}
    return ImageRecord(
        # From the patient's folder on, so that an id is the same in both releases.
        image_id="/".join(parts[parts.index(patient) :]).rsplit(".", 1)[0],
        patient_id=patient,
        study_id=f"{patient}/{study}",
        path=relative(folder, path, row),
        where=row.where,
        view=row.values["AP/PA"] or None,
        # A blank (not mentioned) is not 0 (denied); the label policy decides what it means.
        labels={name: value for name, value in values.items() if value is not None},
        official=subset,
    )


chexpert = Dataset(
    word="chexpert",
    title="CheXpert (Stanford), small or full",
    release=release,
    read=read,
    entries=entries,
    published={"v1.0 small": 223648, "v1.0 full": 223648},
    layout=(
        "[CheXpert-v1.0[-small]/]train.csv",
        "valid.csv (both in `CheXpert-v1.0 batch 1 (validate & csv)` where it comes in batches)",
        "train/patient00001/study1/view1_frontal.jpg",
        "valid/...",
    ),
    licence="Stanford University Dataset Research Use Agreement: non-commercial research",
    access="registration at Stanford AIMI",
    url="https://aimi.stanford.edu/datasets/chexpert-chest-x-rays",
    citation="Irvin et al., CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and "
    "Expert Comparison, AAAI 2019",
    counts={"v1.0 small": 191229, "v1.0 full": 191229},
    labels=COMPETITION,
    all_labels=FINDINGS,
    label_policy="mixed",
    val_cap=5000,
)
