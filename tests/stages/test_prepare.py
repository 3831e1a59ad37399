"""Raw download to manifest, images and split, on tiny trees, the phantom and real data."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sista import registry, tables
from sista.errors import UserError
from sista.preparation import masks
from sista.preparation.splits import validate_split
from sista.stages.fetch import fetch
from sista.stages.prepare import prepare
from sista.text.vocabulary import load_vocabulary, train_vocabulary
from tests import raw_trees

REAL = os.environ.get("SISTA_DATA")
REAL_WORDS = ("rsna_pneumonia", "nih_chestxray14", "covid_chestxray", "kermany_pneumonia")


def made(folder, name="m"):
    frame, meta = tables.read(folder / f"{name}.parquet", "manifest")
    split, split_meta = tables.read(folder / f"{name}.split.parquet", "split")
    return frame, meta, np.load(folder / meta["images"], mmap_mode="r"), split, split_meta


@pytest.mark.parametrize("word", sorted(raw_trees.TREES))
def test_every_layout_becomes_a_valid_table(word, tmp_path):
    raw_trees.TREES[word](tmp_path / "raw")
    prepare(word, source=tmp_path / "raw", out=tmp_path / "out/m.parquet", size=32, draws=2)
    frame, meta, images, split, split_meta = made(tmp_path / "out")
    assert images.shape == (len(frame), 32, 32)
    assert images.dtype == np.uint8
    assert (images.reshape(len(frame), -1).max(axis=1) > 0).all()
    assert list(frame.row) == list(range(len(frame)))
    assert meta["labels"] == list(registry.find("datasets", word).labels)
    assert {f"label.{name}" for name in meta["all_labels"]} <= set(frame.columns)
    assert set(split.dataset) == {word}
    assert split_meta["draws"] == 2
    validate_split(split, frame)
    full = split[(split.subset != "train") | ((split.draw == 0) & (split.fraction == 100))]
    assert sorted(full.image_id) == sorted(frame.image_id)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "m.images.npy",
        "m.parquet",
        "m.regions.parquet",
        "m.split.parquet",
        "m.vocabulary.json",
        "run.json",
    ]


@pytest.mark.parametrize("word", ["mimic_cxr", "rsna_pneumonia"])
def test_vocabulary_is_that_of_the_training_reports(word, tmp_path):
    raw_trees.TREES[word](tmp_path / "raw")
    prepare(word, source=tmp_path / "raw", out=tmp_path / "m.parquet", size=16)
    frame, meta, _, split, _ = made(tmp_path)
    chosen = split.image_id[(split.subset == "train") & (split.fraction == 100)]
    reports = frame.report[frame.image_id.isin(chosen) & frame.report.notna()]
    assert (len(reports) > 0) == (word == "mimic_cxr")
    read = load_vocabulary(tmp_path / "m.parquet", meta)
    assert read.get_vocab() == train_vocabulary(list(reports)).get_vocab()


def test_boxes_and_masks_fit_the_prepared_image(tmp_path):
    raw_trees.rsna(tmp_path / "rsna_pneumonia")
    prepare("rsna_pneumonia", source=tmp_path, out=tmp_path / "m.parquet", size=40)
    frame, meta, images, _, _ = made(tmp_path)
    row = frame.set_index("image_id").loc["image01"]
    assert (row.height, row.width, row.scale, row.pad_x, row.pad_y) == (20, 16, 2.0, 4.0, 0.0)
    assert json.loads(row.boxes)[0] == {"label": "Pneumonia", "x": 1, "y": 2, "w": 5, "h": 6}
    assert masks.from_json(row["mask"]).sum() == 5 * 6 + 4 * 4
    assert (meta["dataset"], meta["mask_label"]) == ("rsna_pneumonia", "Pneumonia")
    assert images[row.row][:, :4].max() == 0


def test_result_does_not_depend_on_threads(tmp_path):
    raw_trees.rsna(tmp_path / "raw", n=12)
    for threads in (1, 2):
        out = tmp_path / f"t{threads}/m.parquet"
        prepare("rsna_pneumonia", source=tmp_path / "raw", out=out, size=24, threads=threads)
    for name in (
        "m.images.npy",
        "m.parquet",
        "m.split.parquet",
        "m.vocabulary.json",
        "m.regions.parquet",
    ):
        assert (tmp_path / "t1" / name).read_bytes() == (tmp_path / "t2" / name).read_bytes()


def broken(tmp_path, message, **settings):
    out = tmp_path / "out/m.parquet"
    with pytest.raises(UserError, match=message):
        prepare("rsna_pneumonia", source=tmp_path / "raw", out=out, size=16, **settings)
    # The table of films that cannot be read is all that may stay.
    left = [path.name for path in out.parent.iterdir()] if out.parent.exists() else []
    assert left in ([], ["m.quarantine.csv"])


@pytest.mark.parametrize("threads", [1, 2])
def test_truncated_dicom_names_file_and_row_and_leaves_nothing(tmp_path, threads):
    raw_trees.rsna(tmp_path / "raw", n=12)
    path = tmp_path / "raw/stage_2_train_images/image03.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    broken(tmp_path, r"image03\.dcm.*stage_2_train_labels\.csv row 6", threads=threads)


@pytest.mark.parametrize("box", ["14,2,5,6", "-9,2,12,6", "1,2,5,600", "90,90,5,5", "3,3,0,4"])
def test_box_outside_the_image_names_file_and_row(tmp_path, box):
    table = raw_trees.rsna(tmp_path / "raw") / "stage_2_train_labels.csv"
    table.write_text(table.read_text().replace("image01,1,2,5,6", f"image01,{box}"))
    broken(tmp_path, r"stage_2_train_labels\.csv row 3: a box .* outside the 16 x 20 image")


def test_box_a_little_over_the_border_is_cut(tmp_path):
    table = raw_trees.rsna(tmp_path / "raw") / "stage_2_train_labels.csv"
    table.write_text(table.read_text().replace("image01,1,2,5,6", "image01,-1,2,5,6"))
    prepare("rsna_pneumonia", source=tmp_path / "raw", out=tmp_path / "m.parquet", size=16)
    frame = made(tmp_path)[0].set_index("image_id")
    assert json.loads(frame.boxes["image01"])[0] == {
        "label": "Pneumonia", "x": 0, "y": 2, "w": 4, "h": 6,
    }  # fmt: skip


def test_missing_table_missing_image_and_bad_settings_are_explained(tmp_path):
    raw_trees.rsna(tmp_path / "raw")
    (tmp_path / "raw/stage_2_train_images/image00.dcm").unlink()
    broken(tmp_path, r"image00\.dcm: no such file.*row 2")
    broken(tmp_path, "at least 1", draws=0)
    (tmp_path / "raw/stage_2_train_labels.csv").unlink()
    broken(tmp_path, r"lacks stage_2_train_labels\.csv")


def test_run_length_outside_the_image_names_file_and_row(tmp_path):
    table = raw_trees.siim(tmp_path) / "train-rle.csv"
    table.write_text(table.read_text().replace("40 5", "40 500"))
    with pytest.raises(UserError, match=r"train-rle\.csv row 3: run length code leaves"):
        prepare("siim_acr", source=tmp_path, out=tmp_path / "out/m.parquet", size=16)


def test_same_pixels_of_two_patients_stay_on_one_side(tmp_path):
    folder = raw_trees.rsna(tmp_path / "raw") / "stage_2_train_images"
    for i in range(0, 20, 5):
        (folder / "image18.dcm").write_bytes((folder / "image00.dcm").read_bytes())
        (folder / f"image{i:02}.dcm").write_bytes((folder / "image00.dcm").read_bytes())
    prepare("rsna_pneumonia", source=tmp_path / "raw", out=tmp_path / "m.parquet", size=16)
    frame, _, _, split, _ = made(tmp_path)
    same = frame.image_id[frame.content_hash.duplicated(keep=False)]
    assert len(same) == 5
    assert split[split.image_id.isin(same)].subset.nunique() == 1


def test_same_pixels_in_two_official_sets_is_an_error_with_ids(tmp_path):
    root = raw_trees.object_cxr(tmp_path / "raw")
    (root / "dev/dev1.jpg").write_bytes((root / "train/train5.jpg").read_bytes())
    with pytest.raises(
        UserError, match="equal pixels both in train and test: dev/dev1, train/trai"
    ):
        prepare("object_cxr", source=root, out=tmp_path / "m.parquet", size=16)
    assert not (tmp_path / "m.parquet").exists()


def test_file_outside_the_inventory_is_named(tmp_path):
    root = raw_trees.rsna(tmp_path / "raw")
    fetch("rsna_pneumonia", source=root, out=tmp_path / "inventory.parquet")
    settings = {"source": root, "inventory": tmp_path / "inventory.parquet", "size": 16}
    prepare("rsna_pneumonia", out=tmp_path / "m.parquet", **settings)
    frame, meta = tables.read(tmp_path / "inventory.parquet", "inventory")
    short = frame[~frame.path.str.endswith("image07.dcm")]
    meta["n"] = len(short)
    tables.write(short, tmp_path / "inventory.parquet", "inventory", meta)
    with pytest.raises(UserError, match=r"image07\.dcm is not in .*fetch again"):
        prepare("rsna_pneumonia", out=tmp_path / "m.parquet", **settings)


@pytest.mark.parametrize("word", ["mimic_cxr", "rsna_pneumonia"])
def test_phantom_is_read_like_real_data(word, tmp_path):
    pytest.importorskip("sista.phantom.write")
    from dataclasses import replace

    from sista.phantom.presets import PRESETS
    from sista.phantom.write import write

    write(word, replace(PRESETS["phantom_tiny"], studies={word: 12}), tmp_path / "raw")
    ref = f"{word}@phantom_tiny"
    prepare(ref, source=tmp_path / "raw", out=tmp_path / "m.parquet", size=64)
    frame, meta, _, split, _ = made(tmp_path)
    assert meta["dataset"] == ref
    assert set(split.dataset) == {ref}
    if word == "mimic_cxr":
        assert frame.report.notna().mean() > 0.8


@pytest.mark.skipif(not REAL, reason="set SISTA_DATA to the folder of real data sets")
@pytest.mark.parametrize("word", REAL_WORDS)
def test_real_data_is_read(word, tmp_path):
    if not (Path(REAL or "") / word).is_dir():
        pytest.skip(f"SISTA_DATA has no {word}")
    prepare(word, out=tmp_path / "m.parquet", size=64)
    frame, meta, images, split, _ = made(tmp_path)
    assert len(images) == len(frame) == meta["n"] > 100
    validate_split(split, frame)
    assert isinstance(frame, pd.DataFrame)
