"""The measurement of power: copies of one method, their components, false alarms."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.power.components import copies, false_alarms, simulated, told
from benchmarks.power.run import design, of_copies, of_pairs, rows
from benchmarks.power.tables import Place, Table
from sista.metrics.intervals import crossed_interval
from sista.metrics.power import Components, components, pooled

PLACE = Place("d", "classification", "linear", "auroc", "e", 10)


def method(rng, seeds=10, draws=5, seed_sd=0.02, rest_sd=0.01, patient_sd=0.005, shift=0.0):
    """A method's table: effects of seeds, draws (the same for all methods), cells and patients."""
    common = np.random.default_rng(99).normal(0, 0.05, (1, draws))
    values = 0.8 + shift + common + rng.normal(0, seed_sd, (seeds, 1))
    values = values + rng.normal(0, rest_sd, (seeds, draws))
    noise = rng.normal(0, patient_sd, (seeds, 1, 400))
    return Table(values, values[..., None] + noise, tuple(range(seeds)), 100)


def test_copies_share_no_seed_and_differ_by_twice_the_variance_of_one():
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(40):
        table = method(rng)
        found = list(copies(table, 5, 5, np.random.default_rng(1)))[:10]
        parts += [components(each.values, each.replicates) for each in found]
    mean = pooled(parts)
    assert mean.seed == pytest.approx(2 * 0.02**2, rel=0.15)
    assert mean.rest == pytest.approx(2 * 0.01**2, rel=0.15)
    # Both copies saw the same draws of labels.
    assert mean.draw < 0.1 * mean.rest


def test_copies_are_told_apart_no_more_often_than_named():
    rng = np.random.default_rng(2)
    shares = [false_alarms(PLACE, method(rng), 3, 5)["below_0.05"] for _ in range(4)]
    assert np.mean(shares) < 0.08
    parts = Components(2 * 0.02**2, 0.0, 2 * 0.01**2, 0.005**2)
    assert simulated(parts, 5, 5, 0.0, times=100) < 0.08
    assert simulated(parts, 5, 5, 0.2, times=50) == 1.0


def test_a_design_with_more_seeds_sees_smaller_differences():
    rng = np.random.default_rng(3)
    same = {PLACE: {"clip": method(rng)}}
    other = {PLACE: {"clip": method(rng, 3), "sista": method(rng, 3, shift=0.1)}}
    listed = [*rows("copies", of_copies(same), same)]
    listed += rows("methods", of_pairs(other, "clip"), other)
    frame = pd.DataFrame(listed)
    assert list(frame["kind"]) == ["copies", "methods"]
    assert list(frame["seeds"]) == [5, 3]
    found = pd.DataFrame(design(frame, times=5))
    for _, part in found[found["draws"] == 5].groupby("kind"):
        assert (part.sort_values("seeds")["smallest_visible"].diff().dropna() < 0).all()
    assert set(found["goal"]) == {2.0}


@pytest.mark.parametrize(("seeds", "draws"), [(2, 2), (3, 5), (5, 1), (1, 5), (10, 10)])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_many_differences_are_told_as_one_is(seeds, draws, level):
    rng = np.random.default_rng([seeds, draws])
    points = rng.normal(0, 1, (60, seeds, draws)) + rng.normal(0, 0.5, (60, seeds, 1))
    # From none to what any design tells.
    points += np.geomspace(0.1, 1000, 60)[:, None, None]
    replicates = rng.normal(0, 0.2, (60, 1, 1, 50)) + np.zeros((60, seeds, draws, 1))
    patients = replicates[:, 0, 0].std(1, ddof=1)
    pairs = zip(points, replicates, strict=True)
    expected = [crossed_interval(one, spread)[2] < level for one, spread in pairs]
    assert list(told(points, patients, level)) == expected
    assert 0 < sum(expected) < 60
