import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sista.metrics.grounding import chance, pointing, region_share


def spread(low, high, count):
    """Return the pixels under evenly spread points."""
    return np.floor(low + (np.arange(count) + 0.5) / count * (high - low)).astype(int)


def test_share_of_a_quarter():
    mask = np.zeros((200, 200), bool)
    mask[:100, 100:] = True
    along = spread(0, 200, 64)
    share = region_share(mask, along, along, 4).reshape(4, 4)
    np.testing.assert_array_equal(share, np.kron([[0, 1], [0, 0]], np.ones((2, 2))))


def test_share_beside_the_film():
    # A film of 100 x 200 px in the middle of a square of 200 px.
    mask = np.ones((200, 100), bool)
    share = region_share(mask, spread(-50, 150, 64), spread(0, 200, 64), 4)
    np.testing.assert_array_equal(share.reshape(4, 4), [[0, 1, 1, 0]] * 4)
    # The centre half of the square sees the film only.
    assert region_share(mask, spread(0, 100, 64), spread(50, 150, 64), 4).min() == 1.0


@given(st.integers(0, 1000), st.integers(1, 9))
def test_share_keeps_the_area(seed, grid):
    mask = np.random.default_rng(seed).random((40, 40)) < 0.3
    # With a whole number of points a pixel the mean is exact.
    along = spread(0, 40, 40 * grid)
    assert region_share(mask, along, along, grid).mean() == pytest.approx(mask.mean(), abs=1e-12)


def test_a_map_on_the_region_is_a_hit():
    share = np.array([0.0, 0.5, 1.0, 0.0])
    found = pointing(np.array([[0, 0, 2.0, 0], [1.0, 0, 0, 0], [0, 1.0, 1.0, 0]]), share)
    np.testing.assert_allclose(found.hit, [1, 0, 1])
    np.testing.assert_allclose(found.precision, [1, 0, 0.75])
    np.testing.assert_allclose(found.mass, [1, 0, 0.75])


def test_a_uniform_map_scores_chance():
    share = np.array([0.0, 0.5, 1.0, 0.0])
    assert pointing(np.full(4, 0.1), share) == pytest.approx(chance(share))
    assert chance(share) == pytest.approx((0.5, 0.375, 0.375))


def test_an_empty_map_has_no_mass():
    assert np.isnan(pointing(np.zeros(4), np.ones(4)).mass)
