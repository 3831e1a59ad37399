"""Variance components and the smallest visible difference, against simulated designs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.metrics.intervals import crossed_interval
from sista.metrics.power import Components, components, pooled, smallest_visible

VARIANCE = st.floats(0, 1)
COMPONENTS = st.builds(Components, VARIANCE, VARIANCE, VARIANCE, VARIANCE)
LEVELS = st.integers(2, 8)


def simulated(generator, shape, true, difference=0.0):
    """Return points and replicates of one design; what has one level does not vary."""
    seed, draw, rest, patient = np.sqrt(true)
    seeds, draws = shape
    points = difference + seed * (seeds > 1) * generator.normal(size=(seeds, 1))
    points = points + draw * (draws > 1) * generator.normal(size=(1, draws))
    points = points + rest * (seeds > 1) * generator.normal(size=shape)
    points = points + patient * generator.normal()
    return points, points[..., None] + generator.normal(0, patient, 150)


@pytest.mark.parametrize("shape", [(3, 2), (3, 5), (5, 5), (1, 5), (1, 1)])
@pytest.mark.parametrize(
    "true", [(1, 0, 0, 0.1), (0.1, 1, 1, 0.3), (0, 0, 0.1, 1), (1, 1, 1, 0.02)]
)
def test_the_test_sees_the_smallest_visible_difference_with_80_percent(shape, true):
    generator = np.random.default_rng(sum(shape))
    there = np.array([shape[0] > 1, shape[1] > 1, shape[0] > 1, True])
    parts = Components(*(np.array(true) * there))
    difference = smallest_visible(*shape, parts)
    trials = [simulated(generator, shape, true, difference) for _ in range(300)]
    seen = np.mean([crossed_interval(*trial)[2] < 0.05 for trial in trials])
    # Student's quantile for the power is near, not exact: 70 to 90 %.
    assert 0.68 <= seen <= 0.90, (shape, true, seen)


def test_without_seeds_and_draws_it_is_the_two_normal_quantiles():
    assert smallest_visible(1, 1, Components(0, 0, 0, 1)) == pytest.approx(1.959964 + 0.841621)
    assert smallest_visible(3, 5, Components(0, 0, 0, 0.04)) == pytest.approx(0.2 * 2.801585)
    # Five seeds alone: the t test with 4 degrees of freedom.
    alone = smallest_visible(5, 1, Components(1, 0, 0, 0))
    assert alone == pytest.approx((2.776445 + 0.940965) / math.sqrt(5))
    with pytest.raises(ValueError, match="at least 1"):
        smallest_visible(0, 5, Components(1, 0, 0, 0))


@given(LEVELS, LEVELS, COMPONENTS)
def test_more_seeds_or_draws_never_see_less(seeds, draws, parts):
    here = smallest_visible(seeds, draws, parts)
    assert here >= 0
    assert smallest_visible(seeds + 1, draws, parts) <= here + 1e-12
    assert smallest_visible(seeds, draws + 1, parts) <= here + 1e-12


@given(st.integers(1, 8), st.integers(1, 8), COMPONENTS, st.floats(0.01, 10))
def test_it_scales_with_the_spread_and_grows_with_every_component(seeds, draws, parts, factor):
    here = smallest_visible(seeds, draws, parts)
    scaled = Components(*(factor**2 * part for part in parts))
    assert smallest_visible(seeds, draws, scaled) == pytest.approx(factor * here, rel=1e-9)
    for name in Components._fields:
        more = parts._replace(**{name: getattr(parts, name) + 0.1})
        assert smallest_visible(seeds, draws, more) > here
    assert smallest_visible(seeds, draws, parts, power=0.9) >= here
    assert smallest_visible(seeds, draws, parts, level=0.01) >= here


@pytest.mark.parametrize("true", [(4, 1, 2, 0.5), (0, 3, 1, 0.2), (1, 0, 0.5, 1)])
@pytest.mark.parametrize("shape", [(3, 2), (4, 5)])
def test_components_are_found_again(true, shape):
    generator = np.random.default_rng(0)
    parts = [components(*simulated(generator, shape, true)) for _ in range(1500)]
    assert np.mean(parts, axis=0) == pytest.approx(true, abs=0.25)
    assert pooled(parts) == pytest.approx(true, abs=0.25)


@settings(max_examples=30)
@given(st.integers(2, 4), st.integers(2, 4), st.integers(0, 10**6))
def test_components_do_not_depend_on_the_level_or_on_the_order(seeds, draws, start):
    points, replicates = simulated(np.random.default_rng(start), (seeds, draws), (1, 1, 1, 1))
    found = components(points, replicates)
    assert components(points + 3, replicates - 1) == pytest.approx(found, abs=1e-9)
    turned = components(points[::-1, ::-1], replicates[::-1, ::-1])
    assert turned == pytest.approx(found, abs=1e-9)


def test_what_has_one_level_has_no_variance():
    points, replicates = simulated(np.random.default_rng(0), (1, 4), (1, 1, 1, 1))
    assert components(points, replicates).seed == 0
    assert components(points, replicates).rest == 0
    assert components(points[:, :1], replicates[:, :1])[:3] == (0, 0, 0)
    assert components(points, replicates[..., :1]).patient == 0


def test_pooling_cuts_off_after_the_mean_and_leaves_out_what_is_not_known():
    nan = float("nan")
    parts = [Components(3, -2, 1, 0), Components(-1, 0, 1, 2), Components(nan, 1, 1, 1)]
    assert pooled(parts) == Components(1, 0, 1, 1)
    assert pooled([]) is None
    assert pooled([Components(nan, nan, nan, nan)]) is None
