"""NIH ChestX-ray14 (Wang et al., CVPR 2017): 14 findings, boxes on some films."""

import re
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._download import RemoteFile
from sista.datasets._films import Films
from sista.datasets._source import Row, checked, first_existing, given, once, rows
from sista.errors import UserError
from sista.files import read_lines
from sista.preparation.image_record import Box, ImageRecord, LeftOut, only_records

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
# Mirrors rename the table of boxes and the lists.
BOXES = ("BBox_List_2017.csv", "BBox_List_2017_Official_NIH.csv")
LISTS = {
    "train_val_list.txt": "train",
    "test_list.txt": "test",
    "train_val_list_NIH.txt": "train",
    "test_list_NIH.txt": "test",
}
_FILM = re.compile(r"[\w-]+\.png")
NONE = "No Finding"
BOX_NAMES = {"Infiltrate": "Infiltration"}
# The commas inside the source's headers split them into several cells.
WIDTH, SPACING = "OriginalImage[Width", "OriginalImagePixelSpacing[x"
NEEDED = ("Image Index", "Finding Labels", "Patient ID")
# Of the twelve archives, from the list of the source (batch_download_zips.py).
BOX = (
    "vfk49d74nhbxq3nqjg0900w5nvkorp5c",
    "i28rlmbvmfjbl8p2n3ril0pptcmcu9d1",
    "f1t00wrtdk94satdfb9olcolqx20z2jp",
    "0aowwzs5lhjrceb3qp67ahp0rd1l1etg",
    "v5e3goj22zr6h8tzualxfsqlqaygfbsn",
    "asi7ikud9jwnkrnkj99jnpfkjdes7l6l",
    "jn1b4mw4n6lnh74ovmcjb8y48h8xj07n",
    "tvpxmn7qyrgl0w8wfh9kqfjskv6nmm1j",
    "upyy3ml7qdumlgk2rfcvlb9k6gvqq2pj",
    "l6nilvfa9cg3s28tqv1qc1olm3gnz54p",
    "hhq8fkdgvcari67vfhs7ppg2w6ni4jze",
    "ioqwiy20ihqwyr8pf4c24eazhh281pbu",
)
SIDES = ("Bbox [x", "y", "w", "h]")


def release(folder: Path) -> str | None:
    """Return the release (`2017` or `2020`, by the table's name), None without the table."""
    table = _table(folder)
    return None if table is None else ("2020" if "v2020" in table.name else "2017")


def _table(folder: Path) -> Path | None:
    return next((folder / name for name in TABLES if (folder / name).is_file()), None)


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film; without the two lists there are no official sets.

    Films without a row in the box table were not annotated for boxes.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and lines of the lists that name no film."""
    table = _table(folder) or folder / TABLES[0]
    subsets = _subsets(folder)
    box_table = first_existing(folder, BOXES)
    boxes = _boxes(box_table) if box_table else {}
    films = Films(folder)
    seen: set[str] = set()
    for row in rows(table, NEEDED, optional=("View Position", WIDTH, SPACING)):
        name = row.text("Image Index")
        once(seen, name, row)
        if subsets and name not in subsets:
            there = ", ".join(list_name for list_name in LISTS if given(folder / list_name))
            raise row.error(f"this film is in none of the lists ({there}); get the lists again")
        yield ImageRecord(
            image_id=name.removesuffix(".png"),
            # Also the patient of RSNA's films, which come from here: shared people stay visible.
            patient_id=f"nih{row.text('Patient ID')}",
            path=films.path(row, name, f"images/{name}"),
            where=row.where,
            view=row.values.get("View Position") or None,
            labels=_labels(row),
            boxes=tuple(boxes[name]) if name in boxes else None,
            official=subsets.get(name),
            width_mm=_width_mm(row),
        )
    if box_table is None:
        yield LeftOut("boxes of films", f"{BOXES[0]} is not there", count=len(seen))
    if not subsets:
        why = "the two lists are not there, so that the sets are drawn"
        yield LeftOut("sets of films", why, count=len(seen))
    if missing := set(subsets) - seen:
        yield LeftOut("lines of the lists", f"not in {table.name}", count=len(missing))
    if unknown := sorted(set(boxes) - seen):
        raise UserError(
            f"{box_table}: {len(unknown)} boxed films are not in {table.name}; get both files again"
        )


def _subsets(folder: Path) -> dict[str, str]:
    subsets: dict[str, str] = {}
    for name, subset in LISTS.items():
        file = folder / name
        if not given(file):
            continue
        for number, line in enumerate(read_lines(checked(file), "download it again"), start=1):
            film = line.strip()
            if film and not _FILM.fullmatch(film):
                raise UserError(f"{file} row {number}: no name of a film; download it again")
            if subsets.get(film, subset) != subset:
                raise UserError(f"{file} row {number}: this film is also in the other list")
            if film:
                subsets[film] = subset
    for subset in set(LISTS.values()):
        if subsets and subset not in subsets.values():
            name = next(name for name, of in LISTS.items() if of == subset)
            raise UserError(
                f"{folder / name}: no such list beside the other one; complete the download"
            )
    return subsets


def _boxes(file: Path) -> dict[str, list[Box]]:
    boxes: dict[str, list[Box]] = {}
    for row in rows(file, ("Image Index", "Finding Label", *SIDES)):
        label = BOX_NAMES.get(row.text("Finding Label"), row.text("Finding Label"))
        if label not in FINDINGS:
            raise row.error(f"unknown finding; valid: {', '.join(FINDINGS)}")
        x, y, w, h = (row.number_in(side) for side in SIDES)
        box = Box(label, x, y, w, h, row.where)
        boxes.setdefault(row.text("Image Index"), []).append(box)
    return boxes


def _labels(row: Row) -> dict[str, float]:
    findings = {name.strip() for name in row.text("Finding Labels").split("|")}
    if unknown := findings - {*FINDINGS, NONE}:
        raise row.error(f"{len(unknown)} unknown finding(s); valid: {', '.join((*FINDINGS, NONE))}")
    return {name: float(name in findings) for name in FINDINGS}


def _width_mm(row: Row) -> float | None:
    if not row.values.get(WIDTH) or not row.values.get(SPACING):
        return None
    # The spacing is of the original; the PNG is smaller, so only the width in mm holds for both.
    return row.number_in(WIDTH) * row.number_in(SPACING)


nih_chestxray14 = Dataset(
    word="nih_chestxray14",
    title="NIH ChestX-ray14",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "Data_Entry_2017.csv",
        "images_001/images/*.png ... images_012/images/*.png",
        f"{BOXES[0]} (optional)",
        "train_val_list.txt and test_list.txt (optional)",
    ),
    licence="NIH: free use with a link to the source, citation and acknowledgement",
    access="open download",
    url="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    citation="Wang et al., ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, "
    "CVPR 2017",
    # The films; the tables and lists lie beside them on the page.
    files=tuple(
        RemoteFile(f"images_{number:03}.tar.gz", (f"https://nihcc.box.com/shared/static/{key}.gz",))
        for number, key in enumerate(BOX, start=1)
    ),
    counts={"2017": 112120, "2020": 112120},
    labels=FINDINGS,
    box_labels=(
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
    ),
    # Wang et al. split 70 / 10 / 20.
    val_share=0.125,
    redistributable=True,
    # All films of the release are 1024 x 1024.
    annotation_side=1024,
)
