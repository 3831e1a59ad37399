"""CANDID-PTX (Feng et al., Radiology: AI 2021): pneumothorax, tubes and rib fractures, reports."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._source import Row, first_existing, rows
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.preparation.masks import EMPTY_RLE, RelativeRle
from sista.text.cleaning import MINIMUM_TOKENS, for_pretraining, note

TABLE = "Pneumothorax_reports.csv"
# Films of the other findings have a row in a table of its own; a film without one has none.
OTHERS = {
    "Chest Tube": ("chest_tube.csv",),
    "Rib Fracture": ("acute_rib_fracture.csv", "Rib_fracture_mask_rle.csv"),
}
LABELS = ("Pneumothorax", *OTHERS)
FOLDERS = ("dataset", "dataset1/dataset", "chest_radiographs", "images")
# The films have no ending, or that of a packing.
ENDINGS = ("", ".dcm", ".png", ".jpg")
NO_TEXT = f"the report is empty or has under {MINIMUM_TOKENS} words"


@dataclass
class _Film:
    row: Row
    runs: dict[str, None] = field(default_factory=dict)
    report: str = ""


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without the table of reports."""
    return "2021" if (folder / TABLE).is_file() else None


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film: labels, the mask of its pneumothorax and its report.

    Run lengths are read as those of SIIM-ACR (relative, down the columns), as public readers do.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and masks, texts and rows that are left out."""
    named = _films(folder)
    others = {label: _named_in(folder, label) for label in OTHERS}
    films = Films(folder)
    for name, film in named.items():
        row, codes = film.row, tuple(code for code in film.runs if code)
        # Most reports have no headers.
        text = for_pretraining(film.report) or note(film.report)
        if text is None:
            yield LeftOut("report texts of films", NO_TEXT, row.where)
        labels = {
            label: float(name in found) for label, found in others.items() if found is not None
        }
        if codes:
            labels["Pneumothorax"] = float(any(code != EMPTY_RLE for code in codes))
        else:
            yield LeftOut("films' masks", "the cell of the run lengths is empty", row.where)
        places = (f"{place}/{name}{end}" for place in FOLDERS for end in ENDINGS)
        yield ImageRecord(
            image_id=name,
            patient_id=_patient(row),
            path=films.path(row, name, *places),
            where=row.where,
            labels=labels,
            mask=RelativeRle(codes) if codes else None,
            report=text,
        )
    for label, found in others.items():
        if found is None:
            why = f"{OTHERS[label][0]} is not there"
            yield LeftOut(f"labels {label} of films", why, count=len(named))
        elif unknown := found - set(named):
            yield LeftOut(f"films with {label}", f"not in {TABLE}", count=len(unknown))


def _films(folder: Path) -> dict[str, _Film]:
    named: dict[str, _Film] = {}
    needed = ("SOPInstanceUID", "EncodedPixels", "Report")
    for row in rows(folder / TABLE, needed, optional=("filename",), prose=("Report",)):
        film = named.setdefault(row.text("SOPInstanceUID"), _Film(row))
        film.runs[row.values["EncodedPixels"]] = None
        film.report = film.report or row.values["Report"]
    return named


def _patient(row: Row) -> str | None:
    """Return the number before the first `_` of a file name; None = as the DICOM header says."""
    patient, mark, _ = row.values.get("filename", "").partition("_")
    return patient if mark and patient else None


def _named_in(folder: Path, label: str) -> set[str] | None:
    table = first_existing(folder, OTHERS[label])
    if table is None:
        return None
    needed = ("anon_SOPUID", "mask_rle")
    marked = rows(table, needed)
    return {row.text("anon_SOPUID") for row in marked if row.values["mask_rle"] != EMPTY_RLE}


candid_ptx = Dataset(
    word="candid_ptx",
    title="CANDID-PTX (Dunedin Hospital)",
    release=release,
    read=read,
    entries=entries,
    layout=(
        TABLE,
        "dataset/ (DICOM files named by SOPInstanceUID)",
        "chest_tube.csv and acute_rib_fracture.csv (optional)",
    ),
    licence="data use agreement of the University of Otago: research, no redistribution",
    access="data use agreement and ethics course; said to be closed now outside Health New Zealand",
    url="https://doi.org/10.1148/ryai.2021210136",
    citation="Feng et al., Curation of the CANDID-PTX Dataset with Free-Text Reports, Radiology: "
    "Artificial Intelligence 2021",
    counts={"2021": 19237},
    labels=LABELS,
    mask_label="Pneumothorax",
    # All films of the release are 1024 x 1024.
    annotation_side=1024,
    credentialed=True,
)
