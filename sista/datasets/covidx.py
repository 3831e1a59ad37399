"""COVIDx, all releases with lists: three classes (V9A) or two (CXR-4) (Wang et al., 2020)."""

import re
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._source import Row, checked, first_existing, once, relative
from sista.files import read_lines
from sista.preparation.image_record import ImageRecord

# Of several lists in one folder the first of these is read, then the latest by name.
FIRST = ("train_COVIDx9A.txt", "train.txt")
FOLDERS = ("", "labels/")
THREE = ("Normal", "Pneumonia", "COVID-19")
CLASSES: dict[str, str | None] = {
    "normal": "Normal",
    "pneumonia": "Pneumonia",
    "covid-19": "COVID-19",
    # Negative has no label of its own: it is the 0 of COVID-19.
    "negative": None,
    "positive": "COVID-19",
}
TWO_CLASSES = ("negative", "positive")
# What is not known by a name is called by its classes.
BINARY = ("CXR-4", "V9B", "V8B", "V7B", "two classes")
ENDINGS = (".png", ".jpg", ".jpeg")


def release(folder: Path) -> str | None:
    """Return the release by the name of the list of training films and its classes, else None."""
    lists = _train_list(folder)
    if lists is None:
        return None
    first = next(_lines(lists), None)
    binary = first is not None and first.values["class"].lower() in TWO_CLASSES
    named = re.fullmatch(r"train_COVIDx[-_]?(.+)\.txt", lists.name, re.IGNORECASE)
    name = f"V{named[1].upper().removeprefix('V')}" if named else ("CXR-4" if binary else "")
    if binary:
        return name if name in BINARY else "two classes"
    return "three classes" if name in ("", *BINARY) else name


def _train_list(folder: Path) -> Path | None:
    first = first_existing(folder, [place + name for name in FIRST for place in FOLDERS])
    if first is not None:
        return first
    found = [path for place in FOLDERS for path in folder.glob(f"{place}train[_-]*.txt")]
    # By the number in the name: COVIDx10 is later than COVIDx9.
    return max(found, key=lambda p: ([int(n) for n in re.findall(r"\d+", p.name)], p), default=None)


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per line "patient file class source"; ids are unique inside a source."""
    train = _train_list(folder) or folder / FIRST[0]
    version = release(folder)
    kinds = [kind for kind in CLASSES if (kind in TWO_CLASSES) == (version in BINARY)]
    names = ("COVID-19",) if version in BINARY else THREE
    seen: set[str] = set()
    for subset in ("train", "val", "test"):
        file = train.with_name(train.name.replace("train", subset, 1))
        if subset == "val" and not file.is_file():
            continue
        for row in _lines(file):
            path = f"{subset}/{row.text('file')}"
            once(seen, path, row)
            kind = row.text("class").lower()
            if kind not in kinds:
                raise row.error(f"unknown class; valid: {', '.join(kinds)}")
            yield ImageRecord(
                image_id=path,
                patient_id=f"{row.text('source')}:{row.text('patient')}",
                path=_path(folder, path, row),
                where=row.where,
                labels={name: float(name == CLASSES[kind]) for name in names},
                official=subset,
            )


def _path(folder: Path, path: str, row: Row) -> str:
    """Return where a film lies: the sets are folders, at the top or in `data/`, or one folder."""
    relative(folder, path, row)
    places = (path, f"data/{path}", f"images/{path}", f"images/{path.partition('/')[2]}")
    found = first_existing(folder, places)
    return relative(folder, found.relative_to(folder).as_posix() if found else path, row)


def _lines(file: Path) -> Iterator[Row]:
    """Yield the rows of a list; file names may hold blanks, so the ending finds their end."""
    lines = read_lines(checked(file), "download it again")
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        # The last word with an ending: a name with blanks may hold one inside.
        ends = [index for index, word in enumerate(words) if word.lower().endswith(ENDINGS)]
        row = Row(file, number, {})
        if not ends or ends[-1] < 1 or len(words) - ends[-1] not in (2, 3):
            raise row.error("expected `patient file class source`; use the file as downloaded")
        # A row may end with the class; its patients are then those of a source `unknown`.
        rest = [*words[ends[-1] + 1 :], "unknown"]
        parts = (words[0], " ".join(words[1 : ends[-1] + 1]), rest[0], rest[1])
        values = zip(("patient", "file", "class", "source"), parts, strict=True)
        yield Row(file, number, dict(values))


covidx = Dataset(
    word="covidx",
    title="COVIDx (COVID-Net's collection), V9A, CXR-4 or another release with lists",
    release=release,
    read=read,
    layout=(
        "train_COVIDx9A.txt (V9A) or train.txt (CXR-4)",
        "test_COVIDx9A.txt or test.txt",
        "train/",
        "test/",
    ),
    licence="per source, most of them non-commercial research only",
    access="Kaggle account",
    url="https://www.kaggle.com/datasets/andyczhao/covidx-cxr2",
    citation="Wang, Lin, Wong, COVID-Net: a tailored deep convolutional neural network design for "
    "detection of COVID-19 cases from chest X-ray images, Scientific Reports 2020",
    counts={"V9A": 30386, "CXR-4": 84818},
    labels=THREE,
    release_labels=dict.fromkeys(BINARY, ("COVID-19",)),
    multiclass=True,
    # The family protocol has 23,988 / 5,998 / 400.
    val_share=0.2,
)
