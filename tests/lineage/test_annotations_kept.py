"""Predictions against the annotations of the data set, where nobody else's predictions are."""

import json

import numpy as np
import pandas as pd
import pytest

from sista import registry
from sista.errors import UserError
from sista.lineage.annotations_kept import departures, untrue_refusals
from sista.preparation.masks import to_json

PROTOCOL = registry.find("protocols", "quick_v1")
LABELS = ["Atelectasis", "Edema"]
META = {"dataset": "made_up", "labels": LABELS, "label_policy": "u_ones"}
BOX = {"label": "Pneumonia", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}
TEST, TRAIN = [f"e{i}" for i in range(4)], [f"t{i}" for i in range(6)]


def data():
    names = [*TEST, *TRAIN]
    full, empty = np.ones((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    films = pd.DataFrame({"image_id": names, "patient_id": "p1"})
    # Of the training films the first alone is negative, unknown and without a finding.
    found = [name not in ("e0", "t0") for name in names]
    films["label.Atelectasis"] = [1.0 if yes else 0.0 for yes in found]
    films["label.Edema"] = [-1.0 if yes else np.nan for yes in found]
    films["boxes"] = [json.dumps([BOX] if yes else []) for yes in found]
    films["mask"] = [to_json(full if yes else empty) for yes in found]
    rows = [("test", -1, -1, name) for name in TEST]
    rows += [("train", 0, 100, name) for name in TRAIN]
    rows += [("train", 0, 1, "t0")]
    split = pd.DataFrame(rows, columns=["subset", "draw", "fraction", "image_id"])
    return (films, META), (split, {"refused": []})


def predicted(task):
    (films, _), _ = data()
    tested = films[films["image_id"].isin(TEST)]
    if task == "classification":
        rows = [(name, label, 1.0 if name != "e0" else 0.0) for name in TEST for label in LABELS]
        frame = pd.DataFrame(rows, columns=["image_id", "label", "target"])
    elif task == "detection":
        boxes = ([[1.0, 2.0, 3.0, 4.0, "Pneumonia"]] if name != "e0" else [] for name in TEST)
        frame = pd.DataFrame({"image_id": TEST, "target": list(map(json.dumps, boxes))})
    else:
        frame = pd.DataFrame({"image_id": TEST, "target": tested["mask"].to_numpy()})
    frame = frame.assign(subset="test", draw=0)
    return pd.concat([frame.assign(fraction=f) for f in (10, 100)], ignore_index=True)


def told(frame, task):
    manifest, (split, _) = data()
    return list(departures(frame, manifest, split, PROTOCOL, task))


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection", "retrieval"])
def test_true_predictions_depart_in_nothing(task):
    assert told(predicted("segmentation" if task == "retrieval" else task), task) == []


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_a_film_missed_in_one_head_is_told(task):
    frame = predicted(task)
    last = frame[(frame["image_id"] == "e0") & (frame["fraction"] == 10)].index[-1]
    assert told(frame.drop(last), task) == [
        "lacks 1 test films of made_up that are annotated: each counts in each head"
    ]


def test_changed_labels_and_boxes_are_told():
    frame = predicted("classification")
    changed = frame["target"].where(frame["image_id"] != "e2", 0.0)
    assert (
        "1 test films have other true values"
        in told(frame.assign(target=changed), "classification")[0]
    )
    frame = predicted("detection")
    frame.loc[frame["image_id"] == "e1", "target"] = "[]"
    assert "1 test films have other true values" in told(frame, "detection")[0]


def test_a_label_left_out_is_told():
    frame = predicted("classification")
    line = "its labels are not the 2 of made_up: 1 are missing or invented"
    assert told(frame[frame["label"] != "Edema"], "classification") == [line]
    easy = frame[frame["label"] == "Edema"].assign(label="Easy")
    assert told(pd.concat([frame, easy]), "classification") == [line]


def test_films_without_annotation_are_told():
    frame = predicted("detection")
    more = frame[frame["image_id"] == "e0"].assign(image_id="t9")
    assert told(pd.concat([frame, more]), "detection") == [
        "has 1 test films of made_up that are not annotated for detection"
    ]


def test_another_patient_is_told():
    frame = predicted("segmentation").assign(patient_id="p1")
    assert told(frame, "segmentation") == []
    frame.loc[frame["image_id"] == "e2", "patient_id"] = "p2"
    assert told(frame, "segmentation") == [
        "1 test films stand under another patient than in the manifest"
    ]


def test_boxes_that_are_none_are_refused():
    with pytest.raises(UserError, match="target holds no boxes"):
        told(predicted("detection").assign(target="[[1]]"), "detection")


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_a_head_that_could_be_trained_is_not_refused(task):
    manifest, split = data()
    whole = [{"draw": 0, "fraction": 100, "reason": "no training image has a known label"}]
    (line,) = untrue_refusals(whole, manifest, split, PROTOCOL, task)
    assert line.startswith("says that draw 0 at 100 % cannot be trained, where ")
    # Tried and diverged, or of all draws at once.
    for other in ({"reason": "training diverged at learning rate 0.5"}, {"draw": None}):
        assert list(untrue_refusals([whole[0] | other], manifest, split, PROTOCOL, task)) == []
    # The split itself refused it; or the one film has nothing to learn from.
    known = (split[0], {"refused": whole})
    assert list(untrue_refusals(whole, manifest, known, PROTOCOL, task)) == []
    if task != "classification":
        one = [{"draw": 0, "fraction": 1, "reason": "no box"}]
        assert list(untrue_refusals(one, manifest, split, PROTOCOL, task)) == []
