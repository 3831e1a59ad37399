"""PadChest (Bustos et al., Medical Image Analysis 2020): Spanish reports, 174 findings."""

import ast
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._source import Row, once, rows
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.text.cleaning import MINIMUM_TOKENS, note

# Of its findings those of the lungs, pleura and heart that are frequent; the table has them all.
LABELS = (
    "normal",
    "COPD signs",
    "cardiomegaly",
    "aortic elongation",
    "pleural effusion",
    "interstitial pattern",
    "alveolar pattern",
    "infiltrates",
    "pneumonia",
    "costophrenic angle blunting",
    "air trapping",
    "laminar atelectasis",
    "atelectasis",
    "vascular hilar enlargement",
    "nodule",
    "consolidation",
    "apical pleural thickening",
    "pulmonary edema",
    "emphysema",
    "pulmonary fibrosis",
)
# The source's own mark of films whose report says nothing of use.
EXCLUDED = "exclude"
TABLES = "PADCHEST_chest_x_ray_images_labels_160K*"
VIEWS = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP"}
NEEDED = ("ImageID", "ImageDir", "StudyID", "PatientID", "Projection", "Report", "Labels")
FOLDERS = ("", "images/")
NO_TEXT = f"the report is empty or has under {MINIMUM_TOKENS} words"
NO_LABEL = f"the source found none, or marks the film `{EXCLUDED}`"


def release(folder: Path) -> str | None:
    """Return the date in the name of the table, None without it."""
    table = _table(folder)
    if table is None:
        return None
    return table.name.partition("160K")[2].strip("_").removesuffix(".gz")[:-4] or "2019"


def _table(folder: Path) -> Path | None:
    found = [p for p in folder.glob(TABLES) if p.name.endswith((".csv", ".csv.gz"))]
    return max(found, default=None)


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per frontal film (PA, AP, AP_horizontal); the text is Spanish, stemmed."""
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and other projections, texts and labels that are left out."""
    films = Films(folder)
    seen: set[str] = set()
    table = _table(folder) or folder / TABLES
    for row in rows(table, NEEDED, prose=("Report",)):
        name, place = row.text("ImageID"), row.text("ImageDir")
        once(seen, name, row)
        path = films.path(row, name, *(f"{start}{place}/{name}" for start in FOLDERS))
        projection = row.text("Projection")
        if projection not in VIEWS:
            why = f"the projection is {projection}, not frontal"
            yield LeftOut("films", why, row.where, path)
            continue
        labels, text = _labels(row), note(row.values["Report"])
        if not labels:
            yield LeftOut("films' labels", NO_LABEL, row.where)
        if text is None:
            yield LeftOut("report texts of films", NO_TEXT, row.where)
        yield ImageRecord(
            image_id=name.rsplit(".", 1)[0],
            patient_id=row.text("PatientID"),
            study_id=row.text("StudyID"),
            path=path,
            where=row.where,
            view=VIEWS[projection],
            labels=labels,
            report=text,
        )


def _labels(row: Row) -> dict[str, float]:
    """Return the labels of a cell such as "['normal', ' nodule']"; none where it is `nan`."""
    cell = row.values["Labels"]
    if cell in ("", "nan"):
        return {}
    try:
        given = ast.literal_eval(cell)
        found = {word.strip() for word in given if isinstance(word, str)}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise row.error("column 'Labels' holds no list of words; get the file again") from error
    if found <= {""} or EXCLUDED in found:
        return {}
    return {label: float(label in found) for label in LABELS}


padchest = Dataset(
    word="padchest",
    title="PadChest (Hospital San Juan, Alicante)",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv[.gz]",
        "0.zip ... 54.zip, or their folders 0/*.png ... 54/*.png",
    ),
    licence="PadChest Dataset Research Use Agreement (BIMCV): non-commercial research",
    access="registration at BIMCV",
    url="https://bimcv.cipf.es/bimcv-projects/padchest/",
    citation="Bustos et al., PadChest: A large chest x-ray image dataset with multi-label "
    "annotated reports, Medical Image Analysis 2020",
    # The table has 160,861 rows; the paper speaks of 160,868 films.
    counts={"01.02.19": 110633},
    published={"01.02.19": 160861},
    labels=LABELS,
)
