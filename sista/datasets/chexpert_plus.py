"""CheXpert Plus (Chambon et al., 2024): the films of CheXpert with their reports."""

from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._json import lines
from sista.datasets._source import Row, first_existing, once, rows
from sista.datasets.chexpert import COMPETITION, FINDINGS
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.text.cleaning import MINIMUM_TOKENS, of_parts

TABLE = "df_chexpert_plus_*.csv"
# Labels by CheXbert: of the whole report if they are there, else of one section.
LABELS = tuple(
    f"{place}{section}_fixed.json"
    for section in ("report", "impression", "findings")
    for place in ("chexbert_labels/", "")
)
FILMS = ("PNG/", "PNG/PNG/", "", "CheXpert-v1.0-small/", "CheXpert-v1.0/")
ENDINGS = (".png", ".jpg")
ABOUT = ("path_to_image", "frontal_lateral", "ap_pa", "deid_patient_id", "split")
SECTIONS = ("section_impression", "section_findings")
# The source's validation films are the family protocol's test set.
SUBSETS = {"train": "train", "valid": "test"}
NO_TEXT = f"the report has no impression or findings of at least {MINIMUM_TOKENS} words"


def release(folder: Path) -> str | None:
    """Return the date in the name of the table, None without it."""
    table = _table(folder)
    return table.stem.rpartition("_")[2] if table else None


def _table(folder: Path) -> Path | None:
    return max(folder.glob(TABLE), default=None)


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per frontal film with the impression and findings of its report."""
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and lateral films, texts and labels that are left out."""
    films = Films(folder)
    table = first_existing(folder, LABELS)
    labels = _labels(table) if table else {}
    seen: set[str] = set()
    for row in rows(_table(folder) or folder / TABLE, (*ABOUT, *SECTIONS), prose=SECTIONS):
        named = row.text("path_to_image").replace("\\", "/")
        once(seen, named, row)
        stem = named.rsplit(".", 1)[0]
        path = films.path(row, named, *(f"{start}{stem}{e}" for start in FILMS for e in ENDINGS))
        if row.text("frontal_lateral") != "Frontal":
            yield LeftOut("films", "lateral view", row.where, path)
            continue
        text = of_parts(*(_section(row, name) for name in SECTIONS))
        if text is None:
            yield LeftOut("report texts of films", NO_TEXT, row.where)
        if named not in labels:
            why = "no table of CheXbert's labels" if table is None else f"not in {table.name}"
            yield LeftOut("films' labels", why, row.where)
        yield _record(row, stem, path, text, labels.get(named, {}))


def _section(row: Row, name: str) -> str | None:
    text = row.values[name]
    return None if text.lower() == "nan" else text


def _record(
    row: Row, stem: str, path: str, text: str | None, labels: dict[str, float]
) -> ImageRecord:
    subset = row.text("split")
    if subset not in SUBSETS:
        raise row.error(f"column 'split' must hold {' or '.join(SUBSETS)}")
    parts = stem.split("/")
    if len(parts) < 4 or not parts[-2].startswith("study"):
        raise row.error(
            "column 'path_to_image' names no patient and study folder; use the original file"
        )
    return ImageRecord(
        image_id="/".join(parts[-3:]),
        patient_id=row.text("deid_patient_id"),
        study_id="/".join(parts[-3:-1]),
        path=path,
        where=row.where,
        view=row.values["ap_pa"] or None,
        labels=labels,
        report=text,
        official=SUBSETS[subset],
    )


def _labels(table: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for node in lines(table):
        values = {name: node.get(name) for name in FINDINGS}
        given = {name: value.number() for name, value in values.items() if value is not None}
        if wrong := [name for name, value in given.items() if value not in (1.0, 0.0, -1.0)]:
            raise node.error(f"{wrong[0]!r} must hold 1, 0, -1 or null")
        found[node.need("path_to_image").text()] = given
    return found


chexpert_plus = Dataset(
    word="chexpert_plus",
    title="CheXpert Plus (Stanford), the films of CheXpert with reports",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "df_chexpert_plus_240401.csv",
        "PNG/{train,valid}/patient00001/study1/view1_frontal.png, or the .jpg of CheXpert",
        "chexbert_labels/{report,impression,findings}_fixed.json (optional: labels)",
    ),
    licence="Stanford University Dataset Research Use Agreement: non-commercial research",
    access="registration at Stanford AIMI",
    url="https://aimi.stanford.edu/datasets/chexpert-plus",
    citation="Chambon et al., CheXpert Plus: Augmenting a Large Chest X-ray Dataset with Text "
    "Radiology Reports, Patient Demographics and Additional Image Formats, arXiv:2405.19538",
    # Of the table 191,071 rows should be frontal; no source that we could read says so.
    published={"240401": 223462},
    labels=COMPETITION,
    all_labels=FINDINGS,
    label_policy="mixed",
    val_cap=5000,
)
