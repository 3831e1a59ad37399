"""Classification metrics against scikit-learn, pair counting and the golden values."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from sista.metrics import classification
from sista.metrics.intervals import patient_weights

GOLDEN = Path(__file__).parents[1] / "golden" / "auroc_delong.npz"


def test_golden_per_class():
    golden = np.load(GOLDEN)
    for column in range(12):
        pair = golden["labels"][:, column], golden["scores"][:, column]
        np.testing.assert_allclose(classification.auroc(*pair), golden["auroc"][column], atol=1e-10)
        np.testing.assert_allclose(
            classification.auprc(*pair), golden["average_precision"][column], atol=1e-10
        )


def test_golden_multiclass():
    golden = np.load(GOLDEN)
    target = np.eye(3)[golden["mc_labels"]]
    areas = [classification.auroc(target[:, k], golden["mc_prob"][:, k]) for k in range(3)]
    assert np.mean(areas) == pytest.approx(golden["mc_ovr_macro"], abs=1e-10)
    value = classification.accuracy_multiclass(target, golden["mc_prob"])
    assert value == pytest.approx(golden["mc_accuracy"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40))
def test_against_scikit_learn(rows):
    target = np.array([row[0] for row in rows], dtype=float)
    score = np.array([row[1] for row in rows]) / 8
    assert classification.brier(target, score) == pytest.approx(np.mean((score - target) ** 2))
    predicted = score > 0.5
    assert classification.accuracy(target, score) == pytest.approx(np.mean(predicted == target))
    if target.sum() == 0:
        assert np.isnan(classification.f1(target, score))
        assert np.isnan(classification.auroc(target, score))
        return
    assert classification.f1(target, score) == pytest.approx(
        reference.f1_score(target, predicted, zero_division=0)
    )
    if target.mean() < 1:
        assert classification.auroc(target, score) == pytest.approx(
            reference.roc_auc_score(target, score)
        )
        assert classification.auprc(target, score) == pytest.approx(
            reference.average_precision_score(target, score)
        )


def test_weights_are_repeated_images():
    generator = np.random.default_rng(3)
    target = (generator.random(50) < 0.3).astype(float)
    target[::9] = np.nan
    score = np.round(generator.random(50), 1)
    weights = patient_weights([str(i // 2) for i in range(50)], 20)
    for name in ("auroc", "auprc", "accuracy", "f1", "brier", "ece"):
        function = getattr(classification, name)
        together = function(target, score, weights)
        for row, value in zip(weights, together, strict=True):
            chosen = np.repeat(np.arange(50), row.astype(int))
            assert value == pytest.approx(function(target[chosen], score[chosen]), nan_ok=True)


def test_calibration_error_by_bins():
    score = np.array([0.05, 0.05, 0.95, 0.95, 1.0])
    target = np.array([0.0, 1.0, 1.0, 1.0, 1.0])
    # First bin: 2/5 of the images, gap 0.45; last bin: 3/5, mean probability 0.96667.
    assert classification.ece(target, score) == pytest.approx(0.4 * 0.45 + 0.6 * (1 - 2.9 / 3))


def test_threshold_is_strict_and_shapes_are_checked():
    assert classification.accuracy([0, 1], [0.5, 0.51]) == 1
    with pytest.raises(ValueError, match="equal vectors"):
        classification.auroc([0, 1], [0.1])
    assert np.isnan(classification.auroc([np.nan], [0.2]))
