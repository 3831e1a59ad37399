"""RSNA Pneumonia Detection Challenge, stage 2 (Shih et al., Radiology: AI 2019)."""

from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._source import Row, first_existing, given, once, relative, rows
from sista.preparation.image_record import Box, ImageRecord, LeftOut, only_records
from sista.preparation.masks import FilledBoxes

LABELS = "stage_2_train_labels.csv"
CLASSES = "stage_2_detailed_class_info.csv"
PATIENTS = "nih_patients.csv"
IMAGES = "stage_2_train_images"
SIDES = ("x", "y", "width", "height")


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without the label table."""
    return "stage 2" if (folder / LABELS).is_file() else None


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per image: Target, boxes, and the boxes filled as mask.

    The challenge's patientId names an image. Where `nih_patients.csv` links it to the NIH patient
    that one is the patient.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and rows of the other tables that name no film."""
    boxes: dict[str, list[Box]] = {}
    named: dict[str, Row] = {}
    for row in rows(folder / LABELS, ("patientId", *SIDES, "Target"), known=()):
        name = row.text("patientId")
        box = _box(row)
        # A row is one box: rows of an image may differ in the box, not in whether there is one.
        if name in named and bool(boxes[name]) != (box is not None):
            raise row.error("Target differs from an earlier row of the same image")
        named.setdefault(name, row)
        boxes.setdefault(name, []).extend([box] if box else [])
    positive = {name: bool(image_boxes) for name, image_boxes in boxes.items()}
    classes = _checked_classes(folder, positive)
    patients = _patients(folder)
    for name, row in named.items():
        image_boxes = tuple(boxes[name])
        yield ImageRecord(
            image_id=name,
            patient_id=patients.get(name, name),
            path=_path(folder, name, row),
            where=row.where,
            labels={"Pneumonia": float(bool(image_boxes))},
            boxes=image_boxes,
            mask=FilledBoxes(tuple((b.x, b.y, b.w, b.h) for b in image_boxes)),
        )
    if not patients:
        why = f"{PATIENTS} is not there, so that each film counts as a patient of its own"
        yield LeftOut("patients of films", why, count=len(named))
    for table, names in ((CLASSES, classes), (PATIENTS, patients)):
        if unknown := set(names) - set(named):
            yield LeftOut(f"images of {table}", f"not in {LABELS}", count=len(unknown))


def _path(folder: Path, name: str, row: Row) -> str:
    """Return the path of a film: DICOM as downloaded, or a picture made of it."""
    usual = relative(folder, f"{IMAGES}/{name}.dcm", row)
    found = first_existing(folder, (usual, f"{IMAGES}/{name}.png", f"{IMAGES}/{name}.jpg"))
    return relative(folder, found.relative_to(folder).as_posix() if found else usual, row)


def _box(row: Row) -> Box | None:
    target = row.number_in("Target")
    filled = [side for side in SIDES if row.values[side]]
    if target not in (0.0, 1.0) or len(filled) != (4 if target else 0):
        raise row.error("Target 1 needs x, y, width and height; Target 0 needs them empty")
    if not target:
        return None
    x, y, w, h = (row.number_in(side) for side in SIDES)
    return Box("Pneumonia", x, y, w, h, row.where)


def _checked_classes(folder: Path, positive: dict[str, bool]) -> set[str]:
    """Return the images of the class table, if there is one."""
    names: set[str] = set()
    if not given(folder / CLASSES):
        return names
    for row in rows(folder / CLASSES, ("patientId", "class"), known=()):
        name = row.text("patientId")
        names.add(name)
        # Of the three classes Lung Opacity alone is Target 1; "Not Normal" is a negative too.
        if name in positive and (row.text("class") == "Lung Opacity") != positive[name]:
            raise row.error(f"class and the Target in {LABELS} disagree; get both files again")
    return names


def _patients(folder: Path) -> dict[str, str]:
    """Return the NIH patient of each image; images without one are their own patient."""
    if not given(folder / PATIENTS):
        return {}
    patients: dict[str, str] = {}
    seen: set[str] = set()
    for row in rows(folder / PATIENTS, ("patientId", "nih_patient_id")):
        once(seen, row.text("patientId"), row)
        patients[row.text("patientId")] = f"nih{row.text('nih_patient_id')}"
    return patients


rsna_pneumonia = Dataset(
    word="rsna_pneumonia",
    title="the RSNA Pneumonia Detection Challenge (stage 2)",
    release=release,
    read=read,
    entries=entries,
    layout=(LABELS, f"{IMAGES}/*.dcm", f"{CLASSES} (optional)", f"{PATIENTS} (optional)"),
    licence="challenge terms: non-commercial research and education, attribution",
    access="Kaggle account and acceptance of the challenge terms",
    url="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
    citation="Shih et al., Augmenting the NIH Chest Radiograph Dataset with Expert Annotations of "
    "Possible Pneumonia, Radiology: Artificial Intelligence 2019",
    counts={"stage 2": 26684},
    labels=("Pneumonia",),
    box_labels=("Pneumonia",),
    mask_label="Pneumonia",
    # All films of the release are 1024 x 1024.
    annotation_side=1024,
)
