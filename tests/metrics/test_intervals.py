"""Bootstrap, DeLong and Holm against golden values, brute force and known cases."""

from pathlib import Path

import numpy as np
import pytest

from sista.metrics import intervals
from sista.metrics.classification import auroc

GOLDEN = Path(__file__).parents[1] / "golden" / "auroc_delong.npz"


@pytest.mark.parametrize("case", ["d0", "d1", "d2"])
def test_delong_golden(case):
    golden = np.load(GOLDEN)
    pair = np.stack([golden[f"{case}_s1"], golden[f"{case}_s2"]])
    area, covariance = intervals.delong(golden[f"{case}_y"], pair)
    np.testing.assert_allclose(area, golden[f"{case}_auc"], atol=1e-10)
    np.testing.assert_allclose(covariance, golden[f"{case}_cov"], atol=1e-10)
    z, p = intervals.delong_test(golden[f"{case}_y"], *pair)
    assert z == pytest.approx(golden[f"{case}_z"], abs=1e-9)
    assert p == pytest.approx(golden[f"{case}_p"], abs=1e-9)


def test_delong_of_identical_scores_finds_no_difference():
    golden = np.load(GOLDEN)
    same = golden["same_y"], golden["same_s1"], golden["same_s2"]
    assert intervals.delong_test(*same) == (0.0, 1.0)
    assert np.isnan(intervals.delong_test([1, 1], [0.2, 0.3], [0.1, 0.5])[1])


def test_delong_interval_is_near_the_bootstrap_interval():
    generator = np.random.default_rng(0)
    target = (generator.random(400) < 0.4).astype(float)
    score = generator.normal(target, 1.2)
    value, low, high = intervals.delong_interval(target, score)
    weights = intervals.patient_weights([str(i) for i in range(400)], 2000)
    boot = intervals.percentile_interval(auroc(target, score, weights))
    assert value == pytest.approx(float(auroc(target, score)))
    assert boot == pytest.approx((low, high), abs=0.01)


def test_images_of_a_patient_are_drawn_together_and_seeds_repeat():
    patients = ["b", "a", "b", "c"]
    weights = intervals.patient_weights(patients, 50, seed=1)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)
    np.testing.assert_array_equal(weights, intervals.patient_weights(patients, 50, seed=1))
    assert (weights != intervals.patient_weights(patients, 50, seed=2)).any()


def test_bootstrap_interval_covers_a_mean():
    generator = np.random.default_rng(5)
    inside = 0
    for seed in range(200):
        sample = generator.normal(0, 1, 60)
        weights = intervals.patient_weights([f"{i:02d}" for i in range(60)], 400, seed)
        low, high = intervals.percentile_interval(weights @ sample / weights.sum(axis=1))
        inside += low <= 0 <= high
    assert 0.88 <= inside / 200 <= 0.98


def test_undefined_replicates():
    low, high = intervals.percentile_interval([1.0, np.nan, np.nan])
    assert np.isnan(low)
    assert np.isnan(high)
    assert intervals.percentile_interval([1.0, 1.0, np.nan]) == (1.0, 1.0)


def test_paired_bootstrap_p():
    assert intervals.paired_bootstrap_p(np.ones(999)) == pytest.approx(2 / 1000)
    assert intervals.paired_bootstrap_p(np.zeros(999)) == 1
    assert intervals.paired_bootstrap_p(np.r_[np.ones(9), -np.ones(90)]) == pytest.approx(0.2)
    assert np.isnan(intervals.paired_bootstrap_p([]))


def test_holm():
    # The worked example of Holm's procedure: 0.01*4, max(.04, 0.02*3), ...
    np.testing.assert_allclose(
        intervals.holm([0.02, 0.01, np.nan, 0.04, 0.03]), [0.06, 0.04, np.nan, 0.06, 0.06]
    )
    assert intervals.holm([0.9, 0.8])[0] == 1


def test_mean_squares_agree_with_a_linear_model():
    """By hand: rows and columns as dummy variables, residual sums of squares."""
    y = np.random.default_rng(0).normal(size=(4, 3))
    found = intervals.mean_squares(y)
    rows, columns = np.repeat(np.eye(4), 3, 0), np.tile(np.eye(3), (4, 1))

    def residual(design):
        fitted = design @ np.linalg.lstsq(design, y.ravel(), rcond=None)[0]
        return ((y.ravel() - fitted) ** 2).sum()

    full = residual(np.hstack([rows, columns]))
    assert found.rest == pytest.approx(full / 6)
    assert found.seeds == pytest.approx((residual(columns) - full) / 3)
    assert found.draws == pytest.approx((residual(rows) - full) / 2)
    assert intervals.mean_squares([[1.0, 2.0, 4.0]]).seeds == 0


@pytest.mark.parametrize("shape", [(2, 1), (2, 2), (3, 5), (5, 2), (5, 5), (1, 5)])
@pytest.mark.parametrize(
    ("seed_sd", "draw_sd", "rest_sd", "patient_sd"),
    [(1, 0, 0, 0.3), (0.3, 1, 1, 0.5), (0, 0, 0.3, 1), (0, 1, 0.55, 0.1)],
)
def test_an_interval_covers_other_seeds_draws_and_patients(
    shape, seed_sd, draw_sd, rest_sd, patient_sd
):
    """Simulated: no difference. What one seed or one draw cannot show does not vary here."""
    generator = np.random.default_rng(sum(shape))
    seed_sd, draw_sd = seed_sd * (shape[0] > 1), draw_sd * (shape[1] > 1)
    rest_sd = rest_sd * (shape[0] > 1)
    trials, inside, false = 400, 0, 0
    for _ in range(trials):
        points = seed_sd * generator.normal(size=(shape[0], 1))
        points = points + draw_sd * generator.normal(size=(1, shape[1]))
        points = points + rest_sd * generator.normal(size=shape) + generator.normal(0, patient_sd)
        replicates = points[..., None] + generator.normal(0, patient_sd, 200)
        low, high, p = intervals.crossed_interval(points, replicates)
        inside += low <= 0 <= high
        false += p < 0.05
        assert (p < 0.05) == (not low <= 0 <= high)
    # Nominal 95 %: three standard errors below.
    assert inside / trials >= 0.917
    assert false / trials <= 0.083


def test_an_interval_over_equal_seeds_is_that_of_the_patients():
    replicates = np.random.default_rng(0).normal(2.0, 1.0, 5000)
    same = np.broadcast_to(replicates, (2, 1, 5000))
    low, high, p = intervals.crossed_interval([[2.0], [2.0]], same)
    assert (low, high) == pytest.approx((2 - 1.96, 2 + 1.96), abs=0.06)
    assert p == pytest.approx(0.0455, abs=0.005)
    assert np.isnan(intervals.crossed_interval([[np.nan], [1.0]], np.ones((2, 1, 9)))).all()
