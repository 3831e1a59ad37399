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


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("noise", [0.0, 0.3, 3.0])
def test_an_interval_over_seeds_covers_what_it_says(seeds, noise):
    """Simulated: no difference, seeds vary by 1, patients by `noise`."""
    generator = np.random.default_rng(seeds)
    trials = 2000
    inside, ps = 0, []
    for _ in range(trials):
        points = generator.normal(0, 1, seeds) + generator.normal(0, noise)
        replicates = points[:, None] + generator.normal(0, noise, 200)
        low, high, p = intervals.seeds_interval(points, replicates)
        inside += low <= 0 <= high
        ps.append(p)
        assert (p < 0.05) == (not low <= 0 <= high)
    assert 0.935 <= inside / trials <= 0.985
    assert np.mean(np.array(ps) < 0.05) <= 0.065


def test_an_interval_over_equal_seeds_is_that_of_the_patients():
    replicates = np.random.default_rng(0).normal(2.0, 1.0, 5000)
    low, high, p = intervals.seeds_interval([2.0, 2.0], np.stack([replicates, replicates]))
    assert (low, high) == pytest.approx((2 - 1.96, 2 + 1.96), abs=0.06)
    assert p == pytest.approx(0.0455, abs=0.005)
    assert np.isnan(intervals.seeds_interval([np.nan, 1.0], np.ones((2, 9)))).all()
