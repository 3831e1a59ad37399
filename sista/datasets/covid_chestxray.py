"""COVID-19 image data collection (Cohen et al., 2020): frontal films with clinical notes."""

import re
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._download import RemoteFile
from sista.datasets._source import Row, given, once, relative, rows
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.preparation.masks import MaskFile
from sista.text.cleaning import MINIMUM_TOKENS, note

TABLE, SPLITS, BOXES = "metadata.csv", "splits.csv", "annotations/boxes.csv"
VIEWS = ("PA", "AP", "AP Supine")
# The first folder that has a mask of the film wins: outlines drawn by people before a machine's.
MASKS = ("annotations/v7labs-lung-masks", "annotations/lungVAE-masks")
LABELS = ("COVID-19", "Pneumonia")
KINDS = ("Viral", "Bacterial", "Fungal", "ARDS", "No Finding")
UNKNOWN = ("", "todo", "unknown")
VIRAL = ("covid-19", "sars", "mers", "mers-cov", "influenza", "h1n1", "varicella", "herpes")
BACTERIAL = (
    "streptococcus klebsiella legionella mycoplasma chlamydophila e.coli nocardia staphylococcus "
    "mrsa bacterial"
).split()
FUNGAL = ("pneumocystis", "aspergillosis", "fungal")
OTHER_PNEUMONIA = ("pneumonia", "lipoid", "aspiration", "viral")
NEEDED = ("patientid", "finding", "view", "modality", "folder", "filename", "clinical_notes")


def release(folder: Path) -> str | None:
    """Return the state of the collection in a folder, None without its table."""
    if not (folder / TABLE).is_file() or not (folder / "images").is_dir():
        return None
    first = next(rows(folder / TABLE, ()), None)
    names = first.values if first else {}
    if not set(NEEDED) <= set(names):
        return "unknown"
    # The collection has no version in it; the columns of its table tell the state.
    return "2020-10" if "temperature" in names and "RT_PCR_positive" not in names else "2020-06"


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per frontal X-ray; lateral views, CT and unknown views are left out.

    The clinical note is the text for pre-training. It is a case history, not a dictated report.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and the films, texts and labels that are left out."""
    subsets = _subsets(folder / SPLITS) if given(folder / SPLITS) else {}
    seen: set[str] = set()
    used: set[str] = set()
    without = 0
    for row in rows(folder / TABLE, NEEDED, prose=("clinical_notes",)):
        once(seen, row.text("filename"), row)
        modality, view = row.values["modality"], row.values["view"]
        if modality != "X-ray" or view not in VIEWS:
            shown = f"view {view or 'not told'}" if modality == "X-ray" else modality
            path = f"{row.values['folder']}/{row.values['filename']}"
            yield LeftOut("films", f"{shown}, not a frontal X-ray", row.where, path)
            continue
        name = row.text("filename")
        used.add(name)
        if subsets and name not in subsets:
            raise row.error(f"this film has no row in {SPLITS}; correct or remove that file")
        text, labels = note(row.values["clinical_notes"]), findings(row.values["finding"])
        if text is None:
            why = f"the note is empty or has under {MINIMUM_TOKENS} words"
            yield LeftOut("texts of films", why, row.where)
        if not labels:
            yield LeftOut("films' labels", "the finding was never curated", row.where)
        mask = _mask(folder, name, row)
        without += mask is None
        yield ImageRecord(
            image_id=name,
            patient_id=row.text("patientid"),
            path=relative(folder, f"{row.text('folder')}/{name}", row),
            where=row.where,
            view=view,
            labels=labels,
            mask=mask,
            report=text,
            official=subsets.get(name),
        )
    if given(folder / BOXES):
        number = sum(1 for _ in rows(folder / BOXES, ("filename",)))
        why = "they outline lungs, devices and findings of a few films; no task has them"
        yield LeftOut("boxes", why, BOXES, count=number)
    if without:
        yield LeftOut("masks of the lungs", "these films have none", count=without)
    if unknown := set(subsets) - used:
        yield LeftOut(f"rows of {SPLITS}", "they name no film that is used", count=len(unknown))


def findings(text: str) -> dict[str, float]:
    """Return the labels of a `finding` such as "COVID-19, ARDS" or "Pneumonia/Viral/COVID-19".

    Findings that were never curated ("todo", "Unknown") give no label.
    """
    words = {word.strip().lower() for word in re.split(r"[,/]", text)}
    if words <= set(UNKNOWN):
        return {}
    firsts = {word.split()[0] for word in words if word}
    kinds = {
        "COVID-19": "covid-19" in words,
        "Viral": bool(firsts & {*VIRAL, "viral"}),
        "Bacterial": bool(firsts & set(BACTERIAL)),
        "Fungal": bool(firsts & set(FUNGAL)),
        "ARDS": "ards" in words,
        "No Finding": "no finding" in words,
    }
    pneumonia = kinds["Viral"] or kinds["Bacterial"] or kinds["Fungal"]
    kinds["Pneumonia"] = pneumonia or bool(firsts & set(OTHER_PNEUMONIA))
    if kinds["ARDS"] and not kinds["Pneumonia"]:
        # ARDS alone says nothing about its cause.
        return {name: float(kinds[name]) for name in ("ARDS", "No Finding")}
    return {name: float(value) for name, value in kinds.items()}


def _mask(folder: Path, name: str, row: Row) -> MaskFile | None:
    for start in MASKS:
        path = f"{start}/{Path(name).stem}_mask.png"
        if given(folder / path):
            return MaskFile(relative(folder, path, row))
    return None


def _subsets(table: Path) -> dict[str, str]:
    subsets: dict[str, str] = {}
    for row in rows(table, ("filename", "split")):
        if row.text("split") not in ("train", "val", "test"):
            raise row.error("column 'split' must hold train, val or test")
        subsets[row.text("filename")] = row.text("split")
    return subsets


covid_chestxray = Dataset(
    word="covid_chestxray",
    title="the COVID-19 image data collection",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "metadata.csv",
        "images/",
        "annotations/{v7labs-lung-masks,lungVAE-masks}/<name>_mask.png (optional)",
        "splits.csv (optional)",
    ),
    licence="per image (CC BY, CC BY-SA, CC BY-NC-SA and others; column license)",
    access="open git repository",
    url="https://github.com/ieee8023/covid-chestxray-dataset",
    citation="Cohen, Morrison, Dao, COVID-19 Image Data Collection, arXiv:2003.11597, 2006.11988",
    files=(
        RemoteFile(
            "covid-chestxray-dataset.zip",
            ("https://github.com/ieee8023/covid-chestxray-dataset/archive/refs/heads/master.zip",),
        ),
    ),
    labels=LABELS,
    all_labels=(*LABELS, *KINDS),
    mask_label="Lung",
)
