"""List files of others against a manifest: which lines are matched, and with which image."""

import pandas as pd
import pytest

from sista.errors import UserError
from sista.preparation.list_names import NameIndex, first_cell, read_list
from sista.preparation.split_audit import audit_split
from sista.stages.prepare import prepare
from tests import raw_trees

ONE, TWO, SEVEN = (
    "patient00001/study1/view1_frontal",
    "patient00002/study1/view1_frontal",
    "patient00002/study7/view3_frontal",
)
PATHS = {
    **{name: f"CheXpert-v1.0-small/train/{name}.jpg" for name in (ONE, TWO, SEVEN)},
    "00000001_000": "images_001/images/00000001_000.png",
    "train/a b 1.png": "train/a b 1.png",
    "film0.png": "images/film0.png",
    "film0.jpg": "images/film0.jpg",
    "1": "images/1.png",
}


@pytest.fixture(scope="module")
def index():
    return NameIndex(pd.DataFrame({"image_id": list(PATHS), "path": list(PATHS.values())}))


@pytest.mark.parametrize(
    ("line", "image"),
    [
        (ONE, ONE),
        ("/data/CheXpert-v1.0/train/patient00002/study1/view1_frontal.jpg 0 1 0 0 1", TWO),
        ("CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,1.0,,-1.0", ONE),
        ("chexpert\\train\\patient00002\\study7\\view3_frontal.png\t1\t0", SEVEN),
        ('"patient00001/study1/view1_frontal.jpg";"1"', ONE),
        ("12,patient00001/study1/view1_frontal.jpg,0", ONE),
        ("./train/patient00001/study1/view1_frontal.jpg", ONE),
        ("view3_frontal.jpg", SEVEN),
        ("resized/224/00000001_000.jpg 3", "00000001_000"),
        ("patient7 a b 1.png COVID-19 rsna", "train/a b 1.png"),
        ("covidx/train/a b 1.png 0 1", "train/a b 1.png"),
        ("images/film0.png", "film0.png"),
        ("images/film0.jpg", "film0.jpg"),
        ("0 1 0 patient00001/study1/view1_frontal.jpg", ONE),
        ("0 1 covidx/train/a b 1.png", "train/a b 1.png"),
        ("00000001_000|1|0", "00000001_000"),
        ("images/film0.png:1", "film0.png"),
        ("https://films.org/images/film0.jpg?dl=1", "film0.jpg"),
        ("('images/film0.png', 1)", "film0.png"),
        ('["images/film0.jpg", 0],', "film0.jpg"),
        # A label or a row number beside a file or a path, where an image is called `1`.
        ("1,00000001_000.png", "00000001_000"),
        ("1 unknown.png", None),
        (f"1,{TWO}", TWO),
        ("1,0", "1"),
        # Of no image, or of two:
        ("0 1 0 unknown.png", None),
        ("unknown.png:1", None),
        ("('unknown.png', 1)", None),
        ("train/patient00009/study7/view3_frontal.jpg 0 1", None),
        ("study1/view1_frontal.jpg", None),
        ("view1_frontal.jpg", None),
        ("elsewhere/view3_frontal.jpg", None),
        ("images/film0.tiff", None),
        ("unknown.png,1,0", None),
        ("unknown.png 1 0", None),
        ("test/a b 1.png", None),
    ],
)
def test_a_line_names_the_image_or_none(index, line, image):
    assert index.find(line) == image


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.csv", "Path,Sex,Frontal/Lateral\nimages/1.png,M,Frontal\n", 1),
        ("a.csv", "images/1.png,1\nfilm0.jpg,0\n", 2),
        ("a.csv", "unknown.png,1\nfilm0.jpg,0\n", 2),
        ("a.txt", "image label\nfilm0.jpg 0\n\n# made by hand\n", 1),
        ("a.txt", "00000009_000\nfilm0.jpg 0\n", 2),
        ("a.csv", "00000009_000\nfilm0.jpg,0\n", 2),
        ("a.csv", "unknown,1\nfilm0.jpg,0\n", 2),
        ("a.csv", "Image Index,Finding Labels\nfilm0.jpg,0\n", 1),
        ("a.csv", "film0.jpg masks/film0_mask.png\n", 1),
    ],
)
def test_only_a_header_is_left_out(index, tmp_path, name, text, lines):
    (tmp_path / name).write_text(text)
    assert len(read_list(tmp_path / name, index)) == lines


@pytest.mark.parametrize(
    "line",
    [
        "a/1.png b/1.png",
        "seg_a.png seg_b.png",
        "film0.jpg film1.jpg",
        "film0.jpg,other.png",
        '["film0.jpg", "film1.jpg"]',
    ],
)
def test_a_line_that_names_two_images_is_refused(index, tmp_path, line):
    """Only the first would be compared, and the other one could stand in two lists."""
    (tmp_path / "a.txt").write_text(f"film0.jpg\n{line}\n")
    with pytest.raises(UserError, match="entry 2 names several images"):
        read_list(tmp_path / "a.txt", index)


def test_a_list_without_names_is_refused(index, tmp_path):
    (tmp_path / "a.csv").write_text("image,label\n")
    with pytest.raises(UserError, match="names no image"):
        read_list(tmp_path / "a.csv", index)


def test_lists_with_unmatched_names_are_not_cleared(tmp_path, capsys):
    raw_trees.object_cxr(tmp_path / "raw")
    prepare("object_cxr", source=tmp_path / "raw", out=tmp_path / "m.parquet", size=16)
    (tmp_path / "train.txt").write_text("x/train/train0.jpg 1\ntrain/train1.jpg 0\n")
    (tmp_path / "test.txt").write_text("dev/dev0.jpg 1\n")
    lists = [f"{name}={tmp_path / name}.txt" for name in ("train", "test")]
    audit_split(tmp_path / "m.parquet", lists=tuple(lists))
    assert "no image, patient or pixel hash in two sets" in capsys.readouterr().out
    (tmp_path / "test.txt").write_text("dev/dev0.jpg 1\ndev/gone7.jpg 1\nx/dev/gone8.jpg 0\n")
    with pytest.raises(UserError, match=r"test: 2 of 3 names were not found .*dev/gone7\.jpg, x/d"):
        audit_split(tmp_path / "m.parquet", lists=tuple(lists))
    assert "no image, patient" not in capsys.readouterr().out
    (tmp_path / "train.txt").write_text("train/train1.jpg 0\ndev/gone7.jpg 0\n")
    with pytest.raises(UserError, match=r"names both in train and test, not in .*: dev/gone7\.jpg"):
        audit_split(tmp_path / "m.parquet", lists=tuple(lists))


@pytest.mark.parametrize(
    "line", ["0 1 gone.png", "gone.png:0", "gone.png?dl=1", "('gone.png', 1)", "gone.png|1"]
)
def test_a_line_of_any_form_has_one_name(line):
    assert first_cell(line) == "gone.png"
