"""Prepared data of others: what each table allows, and both together do not."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sista.errors import UserError
from sista.preparation.boxes import boxes_from_json
from sista.preparation.foreign import check_prepared
from sista.preparation.splits import split_hash

BOX = {"label": "disc", "x": 1, "y": 1, "w": 5, "h": 5}


def prepared():
    """Return manifest and split of twelve films, two a patient, with their metadata."""
    names = [f"image{n}" for n in range(12)]
    frame = pd.DataFrame({"image_id": names, "content_hash": names, "row": range(12)})
    frame = frame.assign(patient_id=[f"patient{n // 2}" for n in range(12)], scale=0.5)
    frame = frame.assign(pad_x=0.0, pad_y=12.0, width=96, height=48)
    rows = [("train", 0, f, name) for f, n in ((10, 2), (100, 6)) for name in names[:n]]
    rows += [("val", -1, -1, name) for name in names[6:8]]
    rows += [("test", -1, -1, name) for name in names[8:]]
    split = pd.DataFrame(rows, columns=["subset", "draw", "fraction", "image_id"])
    refused = [{"draw": 0, "fraction": 1, "reason": "too few"}]
    of_split = {"hash": split_hash(split), "draws": 1, "fractions": [1, 10, 100]}
    meta = {"labels": ["a", "b"], "box_labels": ["disc"], "prepared_size": 48}
    return frame, meta, split, of_split | {"refused": refused}


def checked(frame, meta, split, of_split):
    check_prepared(Path("m.parquet"), Path("s.parquet"), frame, meta, split, of_split)


def test_what_prepare_makes_passes():
    checked(*prepared())


@pytest.mark.parametrize(
    ("column", "row", "value", "told"),
    [
        ("patient_id", 11, "patient0", r"s\.parquet: .*patients both in train and test: patient0"),
        ("content_hash", 6, "image0", r"s\.parquet: .*equal pixels both in train and val"),
        ("image_id", 11, "elephant", r"s\.parquet: .*without a manifest row: image11"),
        ("row", 5, 99, r"m\.parquet: row 5: its place is beyond the images"),
        ("scale", 4, np.inf, r"m\.parquet: row 4: scale or borders"),
        ("scale", 4, 1e-300, r"m\.parquet: row 4: scale or borders"),
        ("scale", 4, 7.0, r"m\.parquet: row 4: scale or borders"),
        ("pad_x", 3, np.nan, r"m\.parquet: row 3: scale or borders"),
        ("pad_y", 3, 1e300, r"m\.parquet: row 3: scale or borders"),
        ("pad_y", 3, -1e9, r"m\.parquet: row 3: scale or borders"),
        ("height", 2, 2**62, r"m\.parquet: row 2: scale or borders"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(column, row, value, told):
    frame, *others = prepared()
    frame[column] = [value if n == row else old for n, old in enumerate(frame[column])]
    with pytest.raises(UserError, match=told + ".*[Rr]un prepare again"):
        checked(frame, *others)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("train", 0, 100, "image9"), "images both in train and test: image9"),
        (("test", -1, -1, "image6"), "images both in val and test: image6"),
        (("train", 0, 10, "image5"), "its rows are not those of the hash"),
        (("train", 0, 37, "image0"), "row 14: in a draw or label fraction"),
        (("train", 1, 100, "image0"), "row 14: in a draw or label fraction"),
        (("val", 0, 100, "image6"), "row 14: in a draw or label fraction"),
        (("train", 0, 1, "image0"), "1 % of draw 0 is refused, but has rows"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(row, told):
    frame, meta, split, of_split = prepared()
    split.loc[len(split)] = row
    with pytest.raises(UserError, match=rf"s\.parquet: .*{told}"):
        checked(frame, meta, split, of_split)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": ["a", "a"]}, "labels: a name twice"),
        ({"box_labels": ["\x1b[2J"]}, "box_labels: a name that is none"),
        ({"labels": [""]}, "labels: a name that is none"),
        ({"mask_label": "\u202ex"}, "mask_label: a name that is none"),
        ({"release": "\x1b[2J"}, "release: a name that is none"),
        ({"label_policy": "no_such"}, "label_policy: an unknown one"),
    ],
)
def test_names_that_are_none_are_refused(changes, told):
    frame, meta, *others = prepared()
    with pytest.raises(UserError, match=rf"m\.parquet: its metadata, {told}"):
        checked(frame, meta | changes, *others)


def test_boxes_of_prepare_are_read():
    boxes = [BOX, {**BOX, "x": 90.0, "w": 6.0}]
    assert boxes_from_json(json.dumps(boxes), ["disc"], 96, 48, "row 1") == boxes
    assert boxes_from_json("[]", ["disc"], 96, 48, "row 1") == []


@pytest.mark.parametrize(
    "text",
    [
        '[{"label": "disc", "x": 1, "x": 9, "y": 1, "w": 5, "h": 5}]',
        "{",
        "7",
        "{}",
        "null",
        "[[1, 2, 3, 4]]",
        "[" * 50_000,
        '["x"]',
        "[7]",
        "[null]",
    ],
)
def test_boxes_that_are_none_are_refused(text):
    with pytest.raises(UserError, match="row 1: boxes that are no JSON of boxes; run prepare"):
        boxes_from_json(text, ["disc"], 96, 48, "row 1")


@pytest.mark.parametrize(
    "changes",
    [
        *({"x": value} for value in (float("nan"), -5, 9000, 1e308, 10**400, "1", True, None)),
        *({"w": value} for value in (0, -5, 500, float("inf"), [5])),
    ],
)
def test_a_box_beside_its_film_is_refused(changes):
    text = json.dumps([BOX, BOX | changes])
    with pytest.raises(UserError, match="row 1: box 1 has no place and size on the film"):
        boxes_from_json(text, ["disc"], 96, 48, "row 1")


@pytest.mark.parametrize("label", ["Elephant", 7, None, ["disc"]])
def test_a_box_of_an_unknown_label_is_refused(label):
    with pytest.raises(UserError, match="row 1: unknown box label"):
        boxes_from_json(json.dumps([BOX | {"label": label}]), ["disc"], 96, 48, "row 1")


def test_a_box_stands_once():
    with pytest.raises(UserError, match="row 1: a box twice"):
        boxes_from_json(json.dumps([BOX, BOX]), ["disc"], 96, 48, "row 1")


def test_a_draw_without_rows_needs_a_reason():
    frame, meta, split, of_split = prepared()
    with pytest.raises(UserError, match="1 % of draw 1 has neither rows nor a reason"):
        checked(frame, meta, split, of_split | {"draws": 2})
    with pytest.raises(UserError, match="1 % of draw 0 has neither rows nor a reason"):
        checked(frame, meta, split, of_split | {"refused": []})


def test_classes_that_exclude_each_other_do_not_stand_together():
    frame, meta, *others = prepared()
    frame = frame.assign(**{"label.a": 1.0, "label.b": [0.0] * 5 + [1.0] * 7})
    checked(frame, meta, *others)
    with pytest.raises(UserError, match="row 5: two classes that exclude each other"):
        checked(frame, meta | {"multiclass": True}, *others)
