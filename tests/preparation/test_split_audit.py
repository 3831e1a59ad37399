import numpy as np
import pandas as pd
import pytest

from sista.errors import UserError
from sista.preparation.split_audit import _show, audit, audit_split
from sista.stages.prepare import prepare
from tests import raw_trees


def manifest():
    return pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "patient_id": ["p1", "p1", "p2", "p3", "p4", "p5"],
            "content_hash": ["1", "2", "3", "4", "3", "6"],
            "path": [f"train/{name}.png" for name in "abcdef"],
            "label.X": [1.0, 0.0, 1.0, np.nan, -1.0, 0.0],
        }
    )


def test_overlaps_are_found_by_image_patient_and_pixels():
    found = audit(
        {"train": ["a.png", "c", "d"], "val": ["b"], "test": ["train/e.png", "d"]}, manifest()
    )
    assert found.problems == [
        "patients both in train and val: p1",
        "images both in train and test: d",
        "patients both in train and test: p3",
        "equal pixels both in train and test: c, d, e",
    ]
    assert found.sizes == {"train": 3, "val": 1, "test": 2}
    row = found.counts.iloc[0]
    assert (row.positive, row.negative, row.other) == (2, 0, 1)


def test_names_that_look_like_a_style_are_shown(capsys):
    frame = manifest().rename(columns={"label.X": "label.[/b]"})
    _show(audit({"train": ["a"]}, frame), "[/x]")
    assert "[/b]" in (shown := capsys.readouterr().out)
    assert "[/x]: train 1" in shown


def test_nesting_repeats_and_unknown_names_are_found():
    lists = {
        "train": ["a", "b", "c"],
        "train_10": ["a", "b", "b"],
        "train_1": ["c"],
        "test": ["f", "x"],
    }
    found = audit(lists, manifest())
    assert found.problems == ["listed more than once in train_10: b", "1 % is not inside 10 %: c"]
    assert found.unmatched["test"] == ["x"]


def test_command_audits_our_split_and_foreign_lists(tmp_path, capsys):
    prepare("nih_chestxray14", source=raw_trees.nih(tmp_path), out=tmp_path / "m.parquet", size=16)
    audit_split(tmp_path / "m.parquet")
    assert "no image, patient or pixel hash in two sets" in capsys.readouterr().out
    (tmp_path / "peer.csv").write_text("image,label\n00000001_000.png,1\n00000010_000.png,0\n")
    lists = (f"train={tmp_path / 'train_val_list.txt'}", f"test={tmp_path / 'peer.csv'}")
    with pytest.raises(UserError, match="images both in train and test: 00000001_000"):
        audit_split(tmp_path / "m.parquet", lists=lists)
    with pytest.raises(UserError, match="NAME=FILE"):
        audit_split(tmp_path / "m.parquet", lists=("train.txt",))
    with pytest.raises(UserError, match=r"nowhere\.txt: no such file; correct --lists"):
        audit_split(tmp_path / "m.parquet", lists=("train=nowhere.txt",))
