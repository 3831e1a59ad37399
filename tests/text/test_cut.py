import numpy as np
import pytest
from scipy import sparse

from sista.text.cut import centre, pair_similarities, warning
from sista.text.similarity import tfidf_vectors


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return sparse.csr_matrix(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_pairs_are_all_pairs_once():
    vectors = unit([[1, 0], [0, 1], [1, 1]])
    found = sorted(pair_similarities(vectors))
    np.testing.assert_allclose(found, [0, 0.5**0.5, 0.5**0.5], atol=1e-6)
    assert len(pair_similarities(unit(np.eye(30)), limit=5)) == 10


def test_centre_is_the_mean_cosine_to_the_mean():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 6)) + 1.0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    mean = rows.mean(0) / np.linalg.norm(rows.mean(0))
    assert centre(unit(rows)) == pytest.approx((rows @ mean).mean(), abs=1e-6)


def test_centre_of_real_vectors_lies_below_one():
    assert 0 < centre(tfidf_vectors(["no effusion", "left effusion", "clear lungs"], "raw")) < 1


def test_odd_cuts_are_named():
    assert warning(0.1, "theta") is None
    assert "cuts no pair" in warning(0.0, "theta 0.9")
    assert "31%" in warning(0.31, "theta 0.1")
