"""Macro values, notes and undefined classes of the evaluation of a predictions table."""

import numpy as np
import pandas as pd
import pytest

from sista.errors import UserError
from sista.metrics.values import OVERALL
from sista.scoring.evaluate import evaluate
from sista.tasks.segmentation import rle_overlap
from tests import made_up_predictions as made


def _frame(targets, scores):
    rows = [
        {"image_id": f"i{i:02d}", "patient_id": f"p{i // 2}", "label": label}
        | {"target": targets[label][i], "score": scores[label][i]}
        for i in range(len(next(iter(targets.values()))))
        for label in targets
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def _values(task, frame, labels, **settings):
    given = {"multiclass": False, "dataset": "x", "bootstrap": 50} | settings
    return {(v.metric, v.label): v for v in evaluate(task, frame, labels=labels, **given)}


def test_macro_leaves_out_classes_with_one_label_value_and_says_so():
    targets = {"A": [0, 1, 0, 1, 0, 1], "B": [0] * 6}
    scores = {"A": [0.1, 0.9, 0.2, 0.8, 0.3, 0.7], "B": [0.5] * 6}
    values = _values("classification", _frame(targets, scores), ["A", "B"])
    assert values["auroc", "A"].value == values["auroc", "macro"].value == 1
    assert np.isnan(values["auroc", "B"].value)
    assert values["auroc", "B"].note == "0 positive among 6 labelled images"
    assert values["auroc", "macro"].note is None


def test_multiclass_uses_the_highest_score():
    targets = {"A": [1, 1, 0, 0], "B": [0, 0, 1, 1]}
    scores = {"A": [0.45, 0.3, 0.2, 0.2], "B": [0.4, 0.4, 0.3, 0.1]}
    values = _values("classification", _frame(targets, scores), ["A", "B"], multiclass=True)
    assert values["accuracy", "all"].value == 0.5


def test_values_do_not_depend_on_the_order_of_rows_and_lie_in_their_intervals():
    rng = np.random.default_rng(0)
    targets = {"A": (rng.random(40) < 0.4).astype(float).tolist()}
    scores = {"A": (rng.random(40) + np.array(targets["A"]) * 0.3).clip(0, 1).tolist()}
    frame = _frame(targets, scores)
    first = _values("classification", frame, ["A"])
    again = _values("classification", frame.iloc[::-1], ["A"])
    for key, value in first.items():
        assert (value.value, value.low, value.high) == (
            again[key].value,
            again[key].low,
            again[key].high,
        )
        assert value.low <= value.high
    auroc = first["auroc", "macro"]
    assert auroc.low < auroc.value < auroc.high
    assert len(auroc.replicates) == 50


@pytest.mark.parametrize(
    ("task", "main"), [("segmentation", "dice_positive"), ("detection", "map_40_75")]
)
def test_only_the_main_metric_on_request(task, main):
    run = made.runs(tasks=(task,))[0]
    frame = pd.DataFrame(made._rows(run, "test", 0, 10, 12))
    values = _values(task, frame, ["Pneumonia"], only=main, bootstrap=0)
    assert {key[0] for key in values} == {main}
    overall = [v for v in values.values() if v.label in OVERALL]
    assert len(overall) == 1
    assert 0 <= overall[0].value <= 1
    assert np.isnan(overall[0].low)


def test_masks_of_other_size_are_an_error():
    rle = made._rle([[1, 1, 4, 4]])
    other = rle.replace("48, 48", "40, 40")
    frame = pd.DataFrame([{"image_id": "a7", "prediction": rle, "target": other}])
    with pytest.raises(UserError, match="a7"):
        rle_overlap(frame)
