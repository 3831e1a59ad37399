import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sista.metrics.retrieval import (
    chance_recall,
    cut_quality,
    first_relevant_rank,
    recall_at,
    same_findings,
)


def test_rank_by_hand():
    scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.3, 0.8], [0.1, 0.1, 0.1]])
    relevant = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    np.testing.assert_array_equal(first_relevant_rank(scores, relevant), [1, 2, np.inf])
    np.testing.assert_array_equal(recall_at(scores, relevant, 1), [1, 0, 0])
    np.testing.assert_array_equal(recall_at(scores, relevant, 2), [1, 1, 0])


def test_a_collapsed_embedding_finds_nothing():
    assert recall_at(np.ones((20, 20)), np.eye(20, dtype=bool), 10).sum() == 0


@given(st.integers(0, 2**31), st.integers(1, 12))
def test_rank_equals_a_sorted_list(seed, items):
    generator = np.random.default_rng(seed)
    scores = generator.permutation(items * 3).reshape(3, items).astype(float)
    relevant = generator.random((3, items)) < 0.4
    for row, wanted, rank in zip(
        scores, relevant, first_relevant_rank(scores, relevant), strict=True
    ):
        ordered = wanted[np.argsort(-row)]
        assert rank == (np.argmax(ordered) + 1 if wanted.any() else np.inf)


def test_chance_equals_random_orders():
    generator = np.random.default_rng(0)
    relevant = np.arange(12) < np.array([[0], [1], [4], [11]])
    for k in (1, 5, 10, 12, 20):
        drawn = [recall_at(generator.random((4, 12)), relevant, k) for _ in range(3000)]
        np.testing.assert_allclose(chance_recall(relevant, k), np.mean(drawn, 0), atol=0.03)


def test_same_findings():
    labels = np.array([[1, 0], [-1, np.nan], [0, 0], [np.nan, np.nan], [0, np.nan]])
    same = same_findings(labels)
    assert same[0, 1]
    assert same[2, 4]
    assert not same[3].any()
    assert not same[0, 2]


def test_cut_quality_by_hand():
    similarity = np.array(
        [[1, 0.9, 0.9, 0.1], [0.9, 1, 0.2, 0.9], [0.9, 0.2, 1, 0], [0.1, 0.9, 0, 1]]
    )
    same = np.zeros((4, 4), bool)
    same[0, 1] = same[1, 0] = same[2, 3] = same[3, 2] = True
    rows = {"all": np.ones(4, bool), "first": np.arange(4) == 0}
    found = cut_quality(similarity, same, 0.5, rows)
    assert found["all"] == (12, 0.5, 4 / 12, 2 / 6, 2 / 4)
    assert found["first"] == (3, 2 / 3, 1 / 3, 1 / 2, 1.0)
    nothing = cut_quality(similarity, same, 1.0, rows)["all"]
    assert nothing.cut == 0
    assert np.isnan(nothing.precision)
    assert nothing.recall == 0
