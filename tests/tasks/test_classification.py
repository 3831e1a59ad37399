"""Controls of what uses no label: other patients' films, and equal scores."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from sista.errors import UserError
from sista.metrics.swaps import other_patients
from sista.scoring.evaluate import evaluate
from sista.tasks.classification import SWAPS

LABELS = ["A", "B"]


def table(seed=0, patients=7):
    random = np.random.default_rng(seed)
    rows = []
    for n in range(20):
        for label in LABELS:
            target = float(random.random() < 0.4)
            place = {"image_id": f"i{n:02}", "patient_id": f"p{n % patients}", "label": label}
            rows.append(place | {"target": target, "score": 0.5 * target + random.random() / 2})
    return pd.DataFrame(rows)


def values(frame, fraction=0, multiclass=False):
    rules = {"labels": LABELS, "multiclass": multiclass, "dataset": "x", "bootstrap": 20}
    found = evaluate("classification", frame, fraction=fraction, **rules)
    return {(v.metric, v.label): v for v in found}


def test_other_films_against_plain_arithmetic():
    frame = table()
    patients = frame[frame["label"] == "A"]["patient_id"].to_numpy()
    expected = []
    for other in other_patients(patients, SWAPS):
        assert (patients[other] != patients).all()
        of_label = []
        for label in LABELS:
            part = frame[frame["label"] == label]
            scores = part["score"].to_numpy()[other]
            of_label.append(roc_auc_score(part["target"], scores))
        expected.append(np.mean(of_label))
    found = values(frame.sample(frac=1, random_state=1))
    assert found["auroc_other_film", "macro"].value == pytest.approx(np.mean(expected))
    assert found["auroc", "macro"].value > 0.9
    assert found["auroc_chance", "macro"].value == 0.5
    np.testing.assert_array_equal(found["auroc_chance", "macro"].replicates, 0.5)


def test_accuracy_of_other_films():
    frame = table()
    first = frame["label"] == "A"
    # Exactly one class holds.
    frame.loc[~first, "target"] = 1 - frame.loc[first, "target"].to_numpy()
    frame["score"] = frame["target"]
    found = values(frame, multiclass=True)
    truth = frame[first]["target"].to_numpy()
    swaps = other_patients(frame[first]["patient_id"].to_numpy(), SWAPS)
    expected = np.mean([(truth[other] == truth).mean() for other in swaps])
    assert found["accuracy", "all"].value == 1
    assert found["accuracy_other_film", "all"].value == pytest.approx(expected)
    assert ("auroc_other_film", "macro") not in found


def test_what_was_trained_has_no_such_control():
    assert not [key for key in values(table(), fraction=1) if key[0].endswith(("film", "chance"))]


def test_films_of_one_patient_have_chance_only():
    found = values(table(patients=1))
    assert ("auroc_other_film", "macro") not in found
    assert found["auroc_chance", "macro"].value == 0.5


def test_classes_that_exclude_each_other_do_not_stand_together():
    # As a file says whose flag was changed.
    with pytest.raises(UserError, match="two classes that exclude each other"):
        values(table(), multiclass=True)
