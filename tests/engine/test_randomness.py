import numpy as np

from sista.engine.randomness import permutation, uniform


def test_a_number_depends_on_its_item_alone():
    every = uniform(3, 5, np.arange(100), 4)
    some = uniform(3, 5, np.array([7, 99, 0]), 4)
    np.testing.assert_array_equal(some, every[[7, 99, 0]])
    assert not np.array_equal(every, uniform(3, 6, np.arange(100), 4))
    assert not np.array_equal(every, uniform(4, 5, np.arange(100), 4))


def test_numbers_are_uniform_and_uncorrelated():
    draw = uniform(0, 0, np.arange(20000), 3)
    counts = np.histogram(draw, bins=20, range=(0, 1))[0]
    assert np.abs(counts / 3000 - 1).max() < 0.1
    correlation = np.corrcoef(np.c_[draw, np.roll(draw[:, 0], 1)].T) - np.eye(4)
    assert np.abs(correlation).max() < 0.03


def test_permutations_hold_every_item_once():
    first = permutation(1, 0, 50)
    assert sorted(first) == list(range(50))
    assert not np.array_equal(first, permutation(1, 1, 50))
