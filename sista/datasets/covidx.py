"""COVIDx, V9A (three classes) and CXR-4 (two) (Wang, Lin, Wong, Scientific Reports 2020)."""

from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._source import Row, once, relative
from sista.files import read_text
from sista.preparation.image_record import ImageRecord

LISTS = {
    "V9A": {"train": "train_COVIDx9A.txt", "test": "test_COVIDx9A.txt"},
    "CXR-4": {"train": "train.txt", "val": "val.txt", "test": "test.txt"},
}
THREE = ("Normal", "Pneumonia", "COVID-19")
CLASSES: dict[str, dict[str, str | None]] = {
    "V9A": {"normal": "Normal", "pneumonia": "Pneumonia", "covid-19": "COVID-19"},
    # Negative has no label of its own: it is the 0 of COVID-19.
    "CXR-4": {"negative": None, "positive": "COVID-19"},
}
ENDINGS = (".png", ".jpg", ".jpeg")


def release(folder: Path) -> str | None:
    """Return `V9A` or `CXR-4` by the list that is there, else None."""
    return next(
        (name for name, lists in LISTS.items() if (folder / lists["train"]).is_file()), None
    )


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per line "patient file class source"; ids are unique inside a source."""
    version = release(folder) or "V9A"
    names = THREE if version == "V9A" else ("COVID-19",)
    seen: set[str] = set()
    for subset, file in LISTS[version].items():
        if subset == "val" and not (folder / file).is_file():
            continue
        for row in _lines(folder / file):
            path = f"{subset}/{row.text('file')}"
            once(seen, path, row)
            kind = row.text("class").lower()
            if kind not in CLASSES[version]:
                raise row.error(f"unknown class; valid: {', '.join(CLASSES[version])}")
            shown = CLASSES[version][kind]
            yield ImageRecord(
                image_id=path,
                patient_id=f"{row.text('source')}:{row.text('patient')}",
                path=relative(folder, path, row),
                where=row.where,
                labels={name: float(name == shown) for name in names},
                official=subset,
            )


def _lines(file: Path) -> Iterator[Row]:
    """Yield the rows of a list; file names may hold blanks, so the ending finds their end."""
    lines = read_text(file, "complete the download, then run again").splitlines()
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
    title="COVIDx (COVID-Net's collection), V9A or CXR-4",
    release=release,
    read=read,
    layout=(
        "train_COVIDx9A.txt (V9A) or train.txt (CXR-4)",
        "test_COVIDx9A.txt",
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
    release_labels={"CXR-4": ("COVID-19",)},
    multiclass=True,
    # The family protocol has 23,988 / 5,998 / 400.
    val_share=0.2,
)
