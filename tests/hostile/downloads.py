"""Which files of a download are made bad: tables, films, reports, lists, masks."""

from pathlib import Path

from tests.hostile import kinds_csv as kinds_tables
from tests.hostile import kinds_images
from tests.hostile.kinds_files import OTHERS, TEXTS
from tests.hostile.targets import FILE, Target

# What must be said where it is valid: rows that stand twice count once, of a report without text
# the film alone is used.
BOXES = {"a row twice": "boxes stand twice and count once"}
NO_TEXT = "left out: 1 report texts of films"
# Tables and masks that a download may lack, and rows that it should have: what is lost is said.
MISSING = {
    "nih_patients.csv": "left out: 20 patients of films: nih_patients.csv is not there",
    "BBox_List_2017.csv": "left out: 12 boxes of films: BBox_List_2017.csv is not there",
    "IM-0001-0001.png": "left out: 9 masks of the lungs: these films have none",
}
TOLD = {
    "stage_2_train_labels.csv": BOXES,
    "BBox_List_2017.csv": {**BOXES, "missing": MISSING["BBox_List_2017.csv"]},
    "nih_patients.csv": {"missing": MISSING["nih_patients.csv"]},
    "train-rle.csv": {"a row twice": "the same run lengths of the same film stand twice"},
    # A list may begin with any row; the films of the others are counted.
    "train_COVIDx9A.txt": {"its end alone": "left out: 6 image files: no table names them"},
    "s50000001.txt": {"a pickle": NO_TEXT, "a line of 2 MB": NO_TEXT, "cut in half": NO_TEXT},
}
# Prose without some of its letters, or with others, is prose: no reader can tell. `sista fetch`
# compares with the checksums that PhysioNet publishes.
PROSE = {"s50000001.txt": ("cut at its end", "its end alone", "holes")}


def downloads() -> list[Target]:
    """Return the files of a download: tables by structure, films, reports, lists, masks."""
    found = []
    tables = {
        "rsna_pneumonia": ("stage_2_train_labels.csv", "nih_patients.csv"),
        "chexpert": ("train.csv",),
        "siim_acr": ("train-rle.csv",),
        "object_cxr": ("train.csv",),
        "nih_chestxray14": ("Data_Entry_2017.csv", "BBox_List_2017.csv"),
        "covid_chestxray": ("metadata.csv",),
        "mimic_cxr": ("mimic-cxr-2.0.0-split.csv.gz", "mimic-cxr-2.0.0-metadata.csv.gz"),
    }
    for word, names in tables.items():
        command = f"prepare {word} --source raw --out out/manifest.parquet --size 16"
        for name in names:
            found.append(
                Target(
                    command,
                    f"raw/{word}/{name}",
                    {**FILE, **kinds_tables.STRUCTURE},
                    told=TOLD.get(name, {}),
                )
            )
    for word, name in (
        ("covidx", "train_COVIDx9A.txt"),
        ("nih_chestxray14", "test_list.txt"),
        ("mimic_cxr", "files/p10/p10000001/s50000001.txt"),
    ):
        command = f"prepare {word} --source raw --out out/manifest.parquet --size 16"
        kinds, told = {**FILE, **TEXTS}, TOLD.get(Path(name).name, {})
        file = Path(name).name
        found.append(Target(command, f"raw/{word}/{name}", kinds, PROSE.get(file, ()), told=told))
    return found + _films()


def _films() -> list[Target]:
    prepare = "prepare {} --source raw --out out/manifest.parquet --size 16"
    pictures = {**FILE, **kinds_images.PICTURES, **kinds_images.VALID_PICTURES}
    valid = ("16 bits in colour", "CMYK", "a palette", "one pixel", "one line")
    return [
        Target(prepare.format("object_cxr"), "raw/object_cxr/train/train0.jpg", pictures, valid),
        Target(
            prepare.format("rsna_pneumonia"),
            "raw/rsna_pneumonia/stage_2_train_images/image04.dcm",
            {**FILE, **OTHERS, **kinds_images.DICOM},
            (*kinds_images.VALID_DICOM, "holes"),
        ),
        Target(
            prepare.format("kermany_pneumonia"),
            "raw/kermany_pneumonia/masks_lung/IM-0001-0001.png",
            pictures,
            # The last bytes of a PNG hold no pixels; 16 bits of black are a mask without a pixel.
            ("cut at its end", "16 bits in colour"),
            told={"missing": MISSING["IM-0001-0001.png"]},
        ),
        Target(
            "prepare mimic_cxr --source raw_zip --out out/manifest.parquet --size 16",
            "raw_zip/mimic_cxr/mimic-cxr-reports.zip",
            # It begins as "a zip" does.
            {**{kind: damage for kind, damage in FILE.items() if kind != "a zip"}, **OTHERS},
        ),
    ]
