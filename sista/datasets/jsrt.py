"""JSRT (Shiraishi et al., AJR 2000) with the outlines of SCR: nodules, lung masks."""

import re
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._lungs import listed, lungs
from sista.datasets._source import checked, first_existing
from sista.errors import UserError
from sista.files import read_text
from sista.preparation.image_record import Box, ImageRecord, LeftOut, only_records

# JPCLN = lung nodule, JPCNN = no nodule.
NAME = re.compile(r"JPC(LN|NN)(\d{3})", re.IGNORECASE)
FOLDERS = ("All247images", "Nodule154images", "NonNodule93images", "images", "")
# As downloaded (raw numbers without a header), or as a picture made of it.
ENDINGS = ("IMG", "img", "png", "PNG")
MASKS = ("fold1/masks/{}/{}.gif", "fold2/masks/{}/{}.gif", "masks/{}/{}.gif", "masks/{}/{}.png")
SIDES = (("left lung", "left_lung"), ("right lung", "right_lung"))
TABLES = ("CLNDAT_EN.txt", "CLNDAT_EN.TXT", "Clinical_Information/CLNDAT_EN.txt")
LABEL = "Nodule"
SIDE = 2048
# Of a pixel of the original, in mm.
SPACING = 0.175
# File, subtlety, size in mm, age, sex, x and y of the middle in pixels of the original.
ROW = re.compile(
    r"(JPCLN\d{3})(?:\.IMG)?\s+\d+\s+([\d.]+)\s+\S+\s+\S+\s+([\d.]+)\s+([\d.]+)\s", re.IGNORECASE
)


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without films or a folder named as theirs."""
    found = (path for pattern in _patterns() for path in folder.glob(pattern))
    # Where archives are only listed their films are not there, but the folders are.
    named = any((folder / place).is_dir() for place in FOLDERS[:3])
    return "1998" if named or any(NAME.fullmatch(path.stem) for path in found) else None


def _patterns() -> list[str]:
    return [f"{place}/JPC*.{end}".lstrip("/") for place in FOLDERS for end in ENDINGS]


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film; no patient is named, each film becomes one of its own.

    A nodule's box is the square around the middle that the table gives, as wide as its size.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, second forms of a film, and how many films have no mask."""
    table = first_existing(folder, TABLES)
    boxes = _boxes(table) if table else None
    seen: set[str] = set()
    without = 0
    for path, row in listed(folder, _patterns()):
        name = row.file.stem.upper()
        named = NAME.fullmatch(name)
        if named is None:
            raise UserError(f"{row.file}: not a file name of this data set; remove the file")
        if name in seen:
            yield LeftOut("films", "the same film stands in another folder or form", path=path)
            continue
        seen.add(name)
        mask = lungs(
            folder,
            *([place.format(side, name) for place in MASKS for side in names] for names in SIDES),
        )
        without += mask is None
        yield ImageRecord(
            image_id=name,
            patient_id=None,
            path=path,
            where=str(row.file),
            labels={LABEL: float(named[1] == "LN")},
            boxes=None if boxes is None else boxes.get(name, ()),
            mask=mask,
            width_mm=SIDE * SPACING,
        )
    if without:
        yield LeftOut("masks of the lungs", "these films have none", count=without)
    if boxes and (unknown := set(boxes) - seen):
        yield LeftOut(f"rows of {TABLES[0]}", "their film is not there", count=len(unknown))


def _boxes(table: Path) -> dict[str, tuple[Box, ...]]:
    boxes: dict[str, tuple[Box, ...]] = {}
    lines = read_text(checked(table), "complete the download, then run again").splitlines()
    for number, line in enumerate(lines, start=1):
        # The file begins with words about its columns.
        if not line.upper().startswith("JPCLN"):
            continue
        found = ROW.match(line)
        if found is None:
            raise UserError(
                f"{table} row {number}: expected `file subtlety size age sex x y ...`; "
                "use the file as downloaded"
            )
        where = f"{table} row {number}"
        try:
            size, x, y = float(found[2]) / SPACING, float(found[3]), float(found[4])
        except ValueError as error:
            raise UserError(f"{where}: size, x and y must be numbers") from error
        if size <= 0:
            raise UserError(f"{where}: the size of the nodule must be above 0 mm")
        box = Box(LABEL, x - size / 2, y - size / 2, size, size, where)
        boxes.setdefault(found[1].upper(), ())
        boxes[found[1].upper()] += (box,)
    if not boxes:
        raise UserError(f"{table}: names no nodule (JPCLN...); get the file again")
    return boxes


jsrt = Dataset(
    word="jsrt",
    title="the JSRT database with the outlines of SCR",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "All247images/JPC*.IMG, or *.png made of them",
        "fold1/masks/{left lung,right lung}/*.gif and fold2/... (SCR; optional)",
        "CLNDAT_EN.txt (optional: places of the nodules)",
    ),
    licence="JSRT: research use with citation; SCR: research use with citation",
    access="registration at JSRT; SCR: open download",
    url="http://db.jsrt.or.jp/eng.php",
    citation="Shiraishi et al., Development of a digital image database for chest radiographs with "
    "and without a lung nodule, AJR 2000; van Ginneken et al., Medical Image Analysis 2006",
    counts={"1998": 247},
    labels=(LABEL,),
    box_labels=(LABEL,),
    mask_label="Lung",
    # Boxes are as large as the table says, whatever is left of the film there.
    box_tolerance=100.0,
    annotation_side=SIDE,
)
