"""Broken downloads: the error names file, row and remedy."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista import registry
from sista.datasets._source import Row, relative, rows
from sista.datasets.object_cxr import parse_annotation
from sista.errors import UserError
from sista.preparation.image_record import LeftOut
from tests import raw_trees


def read(word, root):
    return list(registry.find("datasets", word).read(root))


def edit(path, old, new):
    path.write_text(path.read_text().replace(old, new, 1))


CASES = [
    ("rsna_pneumonia", "stage_2_train_labels.csv", "Target", "Targets", "row 1.*'Target' is miss"),
    ("rsna_pneumonia", "stage_2_train_labels.csv", "Target", "Target,A", "row 1.*'A' is unknown"),
    ("rsna_pneumonia", "stage_2_train_labels.csv", ",5,6,", ",5,x,", "row 3.*'height'.*no number"),
    ("rsna_pneumonia", "stage_2_train_labels.csv", ",5,6,", ",5,inf,", "row 3.*finite"),
    (
        "rsna_pneumonia",
        "stage_2_train_labels.csv",
        "image00,",
        "../../x,",
        "row 2.*leaves the data",
    ),
    ("rsna_pneumonia", "stage_2_train_labels.csv", "image00,", ",", "row 2.*'patientId' is empty"),
    ("rsna_pneumonia", "stage_2_train_labels.csv", ",,,,,0", ",,,,,1", "row 2.*Target 1 needs x"),
    ("chexpert", "train.csv", "Edema", "Oedema", "row 1.*'Edema' is missing.*'Oedema' is unknown"),
    ("chexpert", "train.csv", ",1.0", ",2.0", "row 2.*must hold 1, 0, -1"),
    ("chexpert", "train.csv", "small/train", "small/../../train", "row 2.*leaves the data folder"),
    ("siim_acr", "train-rle.csv", "1.2.0,", "1.2.77,", "row 2: no DICOM file"),
    ("object_cxr", "train.csv", "0 1 2 6 8", "0 1 2 6", "row 3.*annotation"),
    ("object_cxr", "train.csv", "0 1 2 6 8", "0 1 2 6 b", "row 3.*annotation"),
    ("object_cxr", "train.csv", "train1.jpg", "../../x.jpg", "row 3.*leaves the data folder"),
    ("object_cxr", "train.csv", "train1.jpg", "train0.jpg", "row 3.*earlier row"),
    ("covidx", "train_COVIDx9A.txt", "normal", "well", "row 1: unknown class"),
    ("covidx", "train_COVIDx9A.txt", ".png", "", "row 1: expected"),
    ("nih_chestxray14", "Data_Entry_2017.csv", "Hernia", "Hiatus", "row 4.*unknown finding"),
    ("nih_chestxray14", "BBox_List_2017.csv", "Infiltrate", "Spot", "row 2: unknown finding"),
    ("nih_chestxray14", "test_list.txt", "00000009", "00000001", "row 1: .*also in the other list"),
    ("nih_chestxray14", "test_list.txt", "00000009", "<b>", "row 1: no name of a film"),
    ("nih_chestxray14", "test_list.txt", "00000009", "a\0", "row 1: holds control characters"),
    ("nih_chestxray14", "test_list.txt", ".png\n", ".png", r"test_list\.txt row .* be cut|no name"),
    ("siim_acr", "train-rle.csv", "\n", "\nImageId, EncodedPixels\n", "row 2: the header stands"),
    (
        "covid_chestxray",
        "metadata.csv",
        "finding",
        "findings",
        "row 1: column 'finding' is missing",
    ),
]


@pytest.mark.parametrize(("word", "file", "old", "new", "message"), CASES)
def test_bad_row_is_named(tmp_path, word, file, old, new, message):
    raw_trees.TREES[word](tmp_path)
    edit(tmp_path / file, old, new)
    with pytest.raises(UserError, match=f"(?s){re.escape(file)} {message}"):
        read(word, tmp_path)


@pytest.mark.parametrize("table", ["split", "chexpert"])
def test_missing_mimic_table_is_named(tmp_path, table):
    raw_trees.mimic(tmp_path)
    (tmp_path / f"mimic-cxr-2.0.0-{table}.csv.gz").unlink()
    with pytest.raises(UserError, match=rf"{table}\.csv\.gz: no such file"):
        read("mimic_cxr", tmp_path)


def test_truncated_table_is_named(tmp_path):
    raw_trees.mimic(tmp_path)
    path = tmp_path / "mimic-cxr-2.0.0-split.csv.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match="not a readable CSV"):
        read("mimic_cxr", tmp_path)


@pytest.mark.parametrize("content", ["", " \n \n"])
def test_empty_report_is_named_with_the_row(tmp_path, content):
    raw_trees.mimic(tmp_path)
    (tmp_path / "files/p10/p10000001/s50000001.txt").write_text(content)
    with pytest.raises(UserError, match=r"s50000001\.txt: the report is empty.*gz row 4"):
        read("mimic_cxr", tmp_path)


def test_missing_report_is_named_with_the_row(tmp_path):
    raw_trees.mimic(tmp_path)
    (tmp_path / "files/p10/p10000001/s50000001.txt").unlink()
    with pytest.raises(UserError, match=r"gz row 4: its report files/p10"):
        read("mimic_cxr", tmp_path)


def test_damaged_archive_is_named(tmp_path):
    raw_trees.mimic(tmp_path)
    (tmp_path / "mimic-cxr-reports.zip").write_bytes(b"PK not a zip")
    with pytest.raises(UserError, match="not a readable zip"):
        read("mimic_cxr", tmp_path)


def test_link_out_of_the_folder_is_refused(tmp_path):
    root = raw_trees.object_cxr(tmp_path / "data")
    outside = raw_trees.picture(tmp_path / "outside.jpg", 1)
    (root / "train/train1.jpg").unlink()
    (root / "train/train1.jpg").symlink_to(outside)
    with pytest.raises(UserError, match=r"train\.csv row 3: .*symbolic link"):
        read("object_cxr", root)


@given(st.text(alphabet="012 .;-ae9", max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_annotation_is_read_or_refused(text):
    try:
        boxes = parse_annotation(text, Row(Path("train.csv"), 2, {}))
    except UserError:
        return
    assert all(box.w >= 0 and box.h >= 0 for box in boxes)


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_paths_never_leave_the_folder(tmp_path_factory, path):
    root = tmp_path_factory.getbasetemp()
    try:
        found = relative(root, path, Row(Path("t.csv"), 2, {}))
    except UserError:
        return
    assert (root / found).resolve().is_relative_to(root.resolve())


def test_rows_know_their_number_and_strip_cells(tmp_path):
    path = raw_trees.table(tmp_path / "t.csv", "\ufeffa, b,", " 1 ,2,", "", "3,4,")
    found = list(rows(path, ("a", "b"), known=()))
    assert [(r.number, r.values["a"], r.values["b"]) for r in found] == [
        (2, "1", "2"),
        (4, "3", "4"),
    ]
    with pytest.raises(UserError, match="row 5: more cells"):
        list(rows(raw_trees.table(path, "a,b", "1,2", "1,2", "1,2", "1,2,3"), ("a",)))


@pytest.mark.parametrize("cell", ["1_0", "\u0661", "a\u200b", "\u202eb"])
def test_what_only_python_or_nobody_reads_is_refused(tmp_path, cell):
    (tmp_path / "t.csv").write_text(f"a\n{cell}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"t\.csv row 2"):
        [row.number_in("a") for row in rows(tmp_path / "t.csv", ["a"])]


def test_a_list_that_is_no_file_is_named(tmp_path):
    raw_trees.TREES["nih_chestxray14"](tmp_path)
    file = tmp_path / "test_list.txt"
    file.unlink()
    file.mkdir()
    with pytest.raises(UserError, match=r"test_list\.txt: is no regular file, but a folder"):
        read("nih_chestxray14", tmp_path)
    file.rmdir()
    file.symlink_to(file.name)
    with pytest.raises(UserError, match=r"test_list\.txt: too many levels of symbolic links"):
        read("nih_chestxray14", tmp_path)


def test_the_same_run_lengths_twice_are_told_and_others_beside_none_refused(tmp_path):
    raw_trees.TREES["siim_acr"](tmp_path)
    table = tmp_path / "train-rle.csv"
    lines = table.read_text().splitlines()
    dataset = registry.find("datasets", "siim_acr")
    table.write_text("\n".join([*lines, lines[-1], ""]))
    left = [entry for entry in dataset.entries(tmp_path) if isinstance(entry, LeftOut)]
    assert [entry.why for entry in left] == ["the same run lengths of the same film stand twice"]
    film, _, code = lines[-1].partition(",")
    other = "0 1" if code.strip() == "-1" else " -1"
    table.write_text("\n".join([*lines, f"{film},{other}", ""]))
    with pytest.raises(UserError, match="disagrees on -1"):
        read("siim_acr", tmp_path)


@pytest.mark.parametrize("content", [b"\xe4 FINDINGS", b"<!DOCTYPE html>", b"FINDINGS\x1b[2J"])
def test_what_is_no_report_is_refused_by_its_name(tmp_path, content):
    raw_trees.TREES["mimic_cxr"](tmp_path)
    report = next(tmp_path.rglob("s5*.txt"))
    report.write_bytes(content)
    with pytest.raises(UserError, match=report.name):
        read("mimic_cxr", tmp_path)


def test_a_search_follows_no_link_out_of_its_folder(tmp_path):
    raw_trees.TREES["rsna_pneumonia"](tmp_path / "real")
    (tmp_path / "given").mkdir()
    (tmp_path / "given/other").symlink_to(tmp_path / "real")
    with pytest.raises(UserError, match="lacks stage_2_train_labels"):
        registry.find("datasets", "rsna_pneumonia").locate(tmp_path / "given")
