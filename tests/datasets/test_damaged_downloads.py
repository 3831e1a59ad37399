"""Damaged downloads of every set: one line that names file, place and remedy, nothing written."""

import gzip
import json
import re

import pytest

from sista import registry
from sista.errors import UserError
from sista.stages.prepare import prepare
from tests import raw_trees

GET = "get (it|the (file|lists)|both( files)?) again|get the reports|download (it|the file) again"
REMEDY = re.compile(
    rf"{GET}|complete the download|correct|valid: |must |needs? |use the (original )?file|Use the "
    "file|put |remove|unpack|take the films|each image may stand once|expected|no larger"
)


def text(old, new, count=1):
    """Return a damage that replaces text; a pattern where `old` is compiled."""

    def damage(path):
        content = path.read_bytes()
        plain = gzip.decompress(content) if path.suffix == ".gz" else content
        given = plain.decode()
        done = old.sub(new, given, count) if hasattr(old, "sub") else given.replace(old, new, count)
        assert done != given, f"{old!r} is not in {path.name}"
        path.write_bytes(gzip.compress(done.encode()) if path.suffix == ".gz" else done.encode())

    return damage


def cut(path):
    """Stop a file in its middle."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def gone(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def web_page(path):
    path.write_text("<!DOCTYPE html><html><body>Sign in</body></html>\n")


def twice(path):
    """Repeat the last row."""
    content = path.read_bytes()
    plain = gzip.decompress(content) if path.suffix == ".gz" else content
    lines = plain.decode().splitlines()
    done = ("\n".join([*lines, lines[-1]]) + "\n").encode()
    path.write_bytes(gzip.compress(done) if path.suffix == ".gz" else done)


def entry(change):
    """Return a damage of the content of a JSON file."""

    def damage(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return damage


def first(content):
    return next(iter(content.values())) if isinstance(content, dict) else content[0]


# Of both readers who see it.
FAR = re.compile(",3,1[01],12")
CHEXPERT_PLUS, RSNA = "df_chexpert_plus_240401.csv", "stage_2_train_labels.csv"
PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
VINDR, VINDR_BOXES = "annotations/image_labels_train.csv", "annotations/annotations_train.csv"
OUTLINES = "CheXlocalize/gt_segmentations_test.json"
TBX, REX = "annotations/json/TBX11K_train.json", "metadata/train_metadata_view_position.json"
MS_CXR, CANDID = "MS_CXR_Local_Alignment_v1.1.0.csv", "Pneumothorax_reports.csv"
MIMIC, NIH, COVIDX = "mimic-cxr-2.0.0-{}.csv.gz", "Data_Entry_2017.csv", "train_COVIDx9A.txt"
CASES = [
    ("vindr_cxr", VINDR, text("Edema", "Oedema"), "row 1: column 'Edema' is missing"),
    ("vindr_cxr", VINDR, text(",0,", ",7,"), r"row \d+: column .* must hold 1, 0, -1"),
    ("vindr_cxr", VINDR_BOXES, text("Nodule/Mass", "Nodul"), r"row \d+: unknown class"),
    ("vindr_cxr", VINDR_BOXES, text(",3,10,12", ",3,x,12"), r"row \d+: .*'x_max' holds no number"),
    ("vindr_cxr", VINDR_BOXES, text("train01", "other"), r"row \d+: 1 boxed films have no row"),
    ("vindr_cxr", "annotations/annotations_test.csv", gone, "no such file"),
    ("vindr_cxr", VINDR, text("train00", "../../x"), "row 2: the path leaves the data folder"),
    ("vinbigdata", "train.csv", text("Atelectasis", "Atelektase"), r"row \d+: unknown class"),
    ("vinbigdata", "train.csv", text(",3,10,12", ",3,inf,12"), r"row \d+: .*no finite number"),
    ("vinbigdata", "train.csv", text(FAR, ",3,90,12", 2), r"row \d+: a box .* lies outside"),
    ("vinbigdata", "train.csv", text("film01", ""), r"row \d+: column 'image_id' is empty"),
    ("vinbigdata", "train.csv", cut, r"row \d+"),
    ("tbx11k", TBX, cut, "damaged"),
    ("tbx11k", TBX, text("ActiveTuberculosis", "Active"), "unknown category"),
    ("tbx11k", TBX, text('"bbox": [20.5, 30,', '"bbox": [20.5,'), r"bbox: has 3 numbers"),
    ("tbx11k", TBX, text('"image_id": 2', '"image_id": 99'), "image_id names nothing"),
    ("tbx11k", TBX, text("health/h0000", "h0000"), r"images\[0\]: file_name begins with none"),
    ("tbx11k", "annotations/json/TBX11K_val.json", gone, "no such file"),
    ("chestx_det10", "train.json", text("Effusion", "Fluid"), r"\[1\].syms\[0\]: unknown finding"),
    ("chestx_det10", "train.json", text("[5, 6, 900, 1000]", ""), "damaged"),
    ("chestx_det10", "train.json", text(", [5, 6, 900, 1000]", ""), r"\[1\]: 2 syms and 1 boxes"),
    ("chestx_det10", "train.json", text("[5, 6,", '["5", 6,'), r"boxes\[1\]\[0\]: is no finite"),
    ("chestx_det10", "train.json", text("36201.png", "36200.png"), r"\[1\]: this image was named"),
    ("chestx_det10", "test.json", gone, "complete the download"),
    ("chexlocalize", OUTLINES, text("Edema", "Edemas"), "unknown finding"),
    ("chexlocalize", OUTLINES, text('"counts": "', '"counts": "zz'), "row 3: run lengths that do"),
    ("chexlocalize", OUTLINES, text('"size": [20, 16]', '"size": [20]'), "size: has 1 numbers"),
    ("chexlocalize", OUTLINES, text("patient64101", "patient9"), "1 films are not in"),
    ("chexlocalize", "CheXpert/test_labels.csv", gone, "no such file"),
    ("chexlocalize", "CheXpert/test_labels.csv", text("1.0", "x"), "row 3: .*holds no number"),
    ("ms_cxr", MS_CXR, text("Edema", "Oedema"), "row 2: unknown category"),
    ("ms_cxr", MS_CXR, text(",16,20,", ",0,20,"), "row 2: width and height"),
    ("ms_cxr", MS_CXR, text("image_width", "width"), "row 1: column 'image_width' is missing"),
    ("ms_cxr", MS_CXR, text(",train", ",dev"), "row 2: unknown split"),
    ("ms_cxr", MS_CXR, text("files/p10/p10000000/s50000000", "films"), "row 2: the path names no"),
    ("ms_cxr", MS_CXR, text(",2,3,5,6,", ",2,3,500,6,"), "row 2: a box .* lies outside"),
    ("candid_ptx", CANDID, text("EncodedPixels", "Pixels"), "row 1: column 'EncodedPixels'"),
    ("candid_ptx", CANDID, text("1 5,", "1 5 6,"), r"row 3: run length code has 3 values"),
    ("candid_ptx", CANDID, text("1 5,", "1 9999999,"), r"row 3: run length code leaves"),
    ("candid_ptx", CANDID, text("1.2.276.0.0", "../x"), "row 2: the path leaves the data folder"),
    ("candid_ptx", CANDID, cut, r"row \d+|not a readable CSV"),
    ("candid_ptx", "chest_tube.csv", text("mask_rle", "rle"), "row 1: column 'mask_rle' is miss"),
    (
        "montgomery_shenzhen",
        "MontgomerySet/ManualMask/leftMask/MCUCXR_0000_0.png",
        web_page,
        "MCUCXR_0000_0.png: mask .* cannot be read",
    ),
    (
        "montgomery_shenzhen",
        "MontgomerySet/CXR_png/MCUCXR_0000_0.png",
        lambda path: path.rename(path.with_name("MCUCXR_0000_2.png")),
        "MCUCXR_0000_2.png: not a file name of this data set",
    ),
    (
        "montgomery_shenzhen",
        "ChinaSet_AllFiles/CXR_png/CHNCXR_0004_0.png",
        cut,
        "CHNCXR_0004_0.png: .*truncated or damaged",
    ),
    (
        "montgomery_shenzhen",
        "ChinaSet_AllFiles/CXR_png/CHNCXR_0005_1.png",
        empty,
        "CHNCXR_0005_1.png: ",
    ),
    (
        "montgomery_shenzhen",
        "ChinaSet_AllFiles/mask/CHNCXR_0005_1_mask.png",
        lambda path: raw_trees.picture(path, 1, 20, 40),
        "CHNCXR_0005_1.png: mask .* of other proportions",
    ),
    ("jsrt", "CLNDAT_EN.txt", text("\t35\t", "\tlarge\t"), "row 2: expected `file subtlety"),
    ("jsrt", "CLNDAT_EN.txt", text("\t500\t692", "\t5000\t692"), "row 2: a box .* lies outside"),
    ("jsrt", "CLNDAT_EN.txt", text("\t35\t", "\t0\t"), "row 2: the size of the nodule must be"),
    ("jsrt", "CLNDAT_EN.txt", web_page, "names no nodule"),
    ("jsrt", "fold1/masks/left lung/JPCNN000.gif", empty, "JPCNN000.png: mask .* cannot be read"),
    (
        "jsrt",
        "All247images/JPCNN000.png",
        lambda path: path.rename(path.with_name("JPCXX000.png")),
        "JPCXX000.png: not a file name of this data set",
    ),
    ("iu_xray", "ecgen-radiology/3.xml", cut, "3.xml: a report is no XML"),
    ("iu_xray", "ecgen-radiology/3.xml", web_page, "3.xml: (a report is no XML|has no uId)"),
    ("iu_xray", "ecgen-radiology/3.xml", empty, "3.xml: a report is no XML"),
    ("iu_xray", "ecgen-radiology/3.xml", text('<uId id="CXR3"/>', ""), "3.xml: has no uId"),
    (
        "iu_xray",
        "ecgen-radiology/3.xml",
        text("CXR3_IM-0003-2001", "CXR3_IM-0003-1001"),
        "3.xml row 6: this image was named",
    ),
    ("iu_xray", "ecgen-radiology/3.xml", text("CXR3_IM", "../../x_IM"), "row 6: the path leaves"),
    ("padchest", PADCHEST, cut, "not a readable CSV file"),
    ("padchest", PADCHEST, text("['normal']", "[normal]"), "row 2: column 'Labels' holds no list"),
    ("padchest", PADCHEST, text("patient0", ""), "row 2: column 'PatientID' is empty"),
    ("padchest", PADCHEST, twice, "row 20: this image was named"),
    ("padchest", PADCHEST, text("Projection", "View"), "row 1: column 'Projection' is missing"),
    ("padchest", "0/1000_x0.png", gone, "1000_x0.png: no such file"),
    ("chexpert_plus", CHEXPERT_PLUS, text("section_impression", "i"), "row 1: .*is missing"),
    ("chexpert_plus", CHEXPERT_PLUS, text(",train\r", ",dev\r"), "row 2: column 'split' must hold"),
    ("chexpert_plus", CHEXPERT_PLUS, text("train/patient00000/", ""), "row 2: .*names no patient"),
    ("chexpert_plus", CHEXPERT_PLUS, cut, r"row \d+|not a readable CSV"),
    ("chexpert_plus", "chexbert_labels/report_fixed.json", text("1.0", "3"), r"row 1: .*must hold"),
    ("chexpert_plus", "chexbert_labels/report_fixed.json", text("{", "["), "damaged"),
    ("rexgradient", REX, cut, "damaged"),
    ("rexgradient", REX, text('"LATERAL"\n', '"LATERAL",\n"PA"\n'), "2 images and 3 views"),
    ("rexgradient", REX, text('"ImagePath"', '"Path"'), "'ImagePath' is missing"),
    ("rexgradient", REX, text("../deid_png/", "../../deid_png/"), "the path leaves the data"),
    ("rexgradient", "metadata/valid_metadata_view_position.json", gone, "no such file"),
    ("rexgradient", REX, empty, "damaged"),
    ("mimic_cxr", MIMIC.format("split"), text("validate", "valid"), "row .*'split' must hold"),
    ("mimic_cxr", MIMIC.format("chexpert"), text("Edema", "Oedema"), "row 1: column 'Edema' is"),
    ("mimic_cxr", MIMIC.format("metadata"), text(",10000001", ",1/../../x"), "row 4: the path"),
    ("mimic_cxr", MIMIC.format("metadata"), twice, r"row 14: this image was named"),
    ("mimic_cxr", "files/p10/p10000002/s50000002.txt", gone, r"row 6: its report .* is neither"),
    ("chexpert", "train.csv", text("Frontal/Lateral", "Side"), "row 1: column 'Frontal/Lateral'"),
    ("chexpert", "train.csv", text(",1.0", ",0.5"), "row 2: .* must hold 1, 0, -1"),
    ("chexpert", "train.csv", text("patient00000/", ""), "row 2: column 'Path' names no patient"),
    ("chexpert", "valid.csv", gone, "no such file"),
    ("chexpert", "train.csv", twice, r"row 18: this image was named"),
    ("rsna_pneumonia", RSNA, text(",1,2,5,6,1", ",1,2,5,6,0"), "row 3: Target 1 needs x"),
    ("rsna_pneumonia", RSNA, text("Target", "T"), "row 1: column 'Target' is missing"),
    ("rsna_pneumonia", RSNA, text(",1,2,5,6,", ",1,2,50,6,"), "row 3: a box .* lies outside"),
    ("rsna_pneumonia", "nih_patients.csv", text(",0\n", ",\n"), "row 2: column 'nih_patient_id'"),
    ("rsna_pneumonia", "nih_patients.csv", twice, "row 22: this image was named"),
    ("rsna_pneumonia", "nih_patients.csv", text("f7.png", "f\0.png"), "a NUL byte in line 9"),
    ("rsna_pneumonia", "stage_2_train_images/image00.dcm", cut, "image00.dcm: "),
    ("siim_acr", "train-rle.csv", text(" 3 4 2 2", " 3 4 2"), "row 3: run length code has 3"),
    ("siim_acr", "train-rle.csv", text(" 3 4 2 2", " 3 x 2 2"), "row 3: run length code holds"),
    ("siim_acr", "train-rle.csv", text(" 3 4 2 2", " 3 4 999 2"), "row 3: run length code leaves"),
    ("siim_acr", "train-rle.csv", text("1.2.0,", "1.2.99,"), "row 2: no DICOM file of this name"),
    ("siim_acr", "train-rle.csv", text("1.2.0, -1", "1.2.0,"), "row 2: column 'EncodedPixels'"),
    ("object_cxr", "train.csv", text("0 1 2 6 8", "7 1 2 6 8"), "row 3: annotation must be"),
    ("object_cxr", "train.csv", text("0 1 2 6 8", "0 1 2 600 8"), "row 3: a box .* lies outside"),
    ("object_cxr", "train.csv", twice, "row 14: this image was named"),
    ("object_cxr", "dev.csv", gone, "no such file"),
    ("object_cxr", "train.csv", text("annotation", "shapes"), "row 1: column 'annotation' is miss"),
    ("covidx", COVIDX, text("normal", "healthy"), "row 1: unknown class"),
    ("covidx", COVIDX, text(" normal cohen", ""), "row 1: expected"),
    ("covidx", COVIDX, twice, "row 13: this image was named"),
    ("covidx", COVIDX, empty, "train_COVIDx9A.txt: an empty list"),
    ("covidx", COVIDX, lambda path: path.write_text(" \n\t\n"), "COVIDx9A.txt: an empty list"),
    ("covidx", "test_COVIDx9A.txt", gone, "no such file"),
    ("covidx", COVIDX, text("train 0.png", "../../x.png"), "row 1: "),
    ("nih_chestxray14", NIH, text("Hernia", "Rupture"), "row 4: 1 unknown finding"),
    ("nih_chestxray14", NIH, text("Patient ID", "Person"), "row 1: column 'Patient ID' is missing"),
    ("nih_chestxray14", "test_list.txt", text("00000009_000.png", "x.png"), "row 11: this film is"),
    ("nih_chestxray14", "test_list.txt", gone, r"test_list\.txt: no such list beside"),
    ("nih_chestxray14", "train_val_list.txt", gone, r"train_val_list\.txt: no such list beside"),
    ("nih_chestxray14", "BBox_List_2017.csv", text("00000001_000.png", "x.png"), "1 boxed films"),
    ("nih_chestxray14", NIH, twice, "row 14: this image was named"),
    (
        "kermany_pneumonia",
        "chest_xray/train/NORMAL/IM-0000-0001.jpeg",
        lambda path: path.rename(path.with_name("film.jpeg")),
        "film.jpeg: not a file name of this data set",
    ),
    ("kermany_pneumonia", "chest_xray/train/NORMAL/IM-0000-0001.jpeg", cut, "0001.jpeg: "),
    ("kermany_pneumonia", "chest_xray/train/NORMAL/IM-0000-0001.jpeg", empty, "0001.jpeg: "),
    ("kermany_pneumonia", "masks_lung/IM-0001-0001.png", cut, "IM-0001-0001.png cannot be read"),
    (
        "kermany_pneumonia",
        "masks_lung/IM-0001-0001.png",
        lambda path: raw_trees.picture(path, 1, 20, 40),
        "of other proportions",
    ),
    ("covid_chestxray", "metadata.csv", text("finding", "label"), "row 1: column 'finding' is"),
    ("covid_chestxray", "metadata.csv", text("film0.png", "../x.png"), "row 2: the path leaves"),
    ("covid_chestxray", "metadata.csv", text("film1.png", "film0.png"), "row 3: this image was"),
    ("covid_chestxray", "metadata.csv", cut, r"row \d+|not a readable CSV"),
    ("covid_chestxray", "images/film0.png", empty, "film0.png: "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "file", "damage", "message"),
    CASES,
    ids=[f"{word}-{number}" for number, (word, *_) in enumerate(CASES)],
)
def test_one_line_names_the_place_and_nothing_is_written(tmp_path, word, file, damage, message):
    root = raw_trees.TREES[word](tmp_path / "raw")
    damage(root / file)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UserError) as caught:
        prepare(word, source=root, out=out / "m.parquet", size=16, draws=1)
    told = str(caught.value)
    assert "\n" not in told
    assert re.search(message, told), told
    assert REMEDY.search(told), told
    # What cannot be read is listed beside the manifest that is not made.
    assert [path.name for path in out.iterdir() if path.name != "m.quarantine.csv"] == []


def test_every_set_has_five_kinds_and_there_are_sixty():
    for word in registry.names("datasets"):
        assert sum(case[0] == word for case in CASES) >= 5, word
    assert len(CASES) >= 60


def test_a_picture_whose_frame_is_unknown_is_refused(tmp_path):
    """Boxes in the pixels of the original on a resized copy would be silently wrong."""
    root = raw_trees.TREES["vinbigdata"](tmp_path / "raw", "png")
    with pytest.raises(UserError, match=r"train\.csv row \d+: its film .*train_meta\.csv"):
        prepare("vinbigdata", source=root, out=tmp_path / "m.parquet", size=16)
    (root / "annotation_frame.txt").write_text("film\n")
    prepare("vinbigdata", source=root, out=tmp_path / "m.parquet", size=16)
