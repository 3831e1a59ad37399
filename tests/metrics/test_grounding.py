import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sista.metrics.grounding import Placement, chance, pointing, region_share

WHOLE = Placement(scale=0.5, pad_x=0.0, pad_y=0.0, prepared=100, crop=1.0)


def test_share_of_a_quarter():
    mask = np.zeros((200, 200), bool)
    mask[:100, 100:] = True
    share = region_share(mask, WHOLE, 4).reshape(4, 4)
    np.testing.assert_array_equal(share, np.kron([[0, 1], [0, 0]], np.ones((2, 2))))


def test_share_after_padding_and_crop():
    # A film of 100 x 200 px, padded to a square of 100 px at scale 0.5: columns 25 to 75.
    mask = np.ones((200, 100), bool)
    place = Placement(scale=0.5, pad_x=25.0, pad_y=0.0, prepared=100, crop=1.0)
    np.testing.assert_array_equal(region_share(mask, place, 4).reshape(4, 4)[0], [0, 1, 1, 0])
    # The centre half of the square sees the film only.
    assert region_share(mask, place._replace(crop=0.5), 4).min() == 1.0


@given(st.integers(0, 1000), st.integers(1, 9))
def test_share_keeps_the_area(seed, grid):
    mask = np.random.default_rng(seed).random((40, 40)) < 0.3
    place = Placement(scale=1.0, pad_x=0.0, pad_y=0.0, prepared=40, crop=1.0)
    # With a whole number of samples a pixel the mean is exact.
    share = region_share(mask, place, grid, samples=40)
    assert share.mean() == pytest.approx(mask.mean(), abs=1e-12)


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
