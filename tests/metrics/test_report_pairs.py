"""Scores of cuts on pairs of reports against loops and limits."""

import numpy as np
import pytest

from sista.metrics.report_pairs import bootstrap_weights, cut_shares, f_score, score_cut


@pytest.fixture
def made():
    generator = np.random.default_rng(0)
    kinds = generator.integers(0, 3, 30)
    r = generator.random((30, 30))
    return (r + r.T) / 2 > 0.5, kinds[:, None] == kinds[None], kinds > 0


def test_counts_are_those_of_a_loop(made):
    cut, same, rows = made
    pairs = [(i, j) for i in np.flatnonzero(rows) for j in range(30) if i != j]
    chosen = [p for p in pairs if cut[p]]
    alike = [p for p in pairs if same[p]]
    both = [p for p in chosen if same[p]]
    score = score_cut(cut, same, rows, bootstrap_weights(30, 20))
    assert score.pairs == len(chosen)
    assert score.eliminated == pytest.approx(len(chosen) / len(pairs))
    assert score.precision == pytest.approx(len(both) / len(chosen))
    assert score.recall == pytest.approx(len(both) / len(alike))
    for low, value, high in zip(
        score.low, (score.eliminated, score.precision, score.recall), score.high, strict=True
    ):
        assert low < value < high


def test_intervals_cover_reports_not_pairs(made):
    """A cut of one report's row alone varies with whether that report is drawn."""
    _, same, rows = made
    cut = np.zeros_like(same)
    cut[np.flatnonzero(rows)[0]] = True
    score = score_cut(cut, same, rows, bootstrap_weights(30, 200))
    assert score.low[0] == 0.0
    assert score.high[0] > 2 * score.eliminated


def test_no_cut_has_no_precision(made):
    _, same, rows = made
    score = score_cut(np.zeros_like(same), same, rows, bootstrap_weights(30, 5))
    assert (score.pairs, score.eliminated, score.recall) == (0, 0, 0)
    assert np.isnan([score.precision, score.low[1], score.high[1]]).all()


def test_the_exact_cut_is_perfect(made):
    _, same, rows = made
    score = score_cut(same, same, rows, bootstrap_weights(30, 5))
    assert (score.precision, score.recall, score.low[1:], score.high[1:]) == (1, 1, (1, 1), (1, 1))


def test_f_score():
    assert f_score(0.5, 0.5) == pytest.approx(0.5)
    assert f_score(0.9, 0.1) > f_score(0.1, 0.9)
    assert f_score(float("nan"), 0.0) == f_score(0.0, 1.0) == 0.0


def test_shares_in_batches_meet_the_share_of_all_pairs(made):
    cut, _, rows = made
    off = ~np.eye(30, dtype=bool)
    whole = cut_shares(cut, rows, batch=99, draws=3)
    assert whole["eliminated"] == pytest.approx((cut & off)[rows].sum() / (rows.sum() * 29))
    assert whole["eliminated_low"] == whole["eliminated_high"]
    some = cut_shares(cut, rows, batch=8, draws=400)
    assert some["eliminated"] == pytest.approx(whole["eliminated"], abs=0.02)
    assert some["eliminated_low"] < whole["eliminated"] < some["eliminated_high"]
    assert np.isnan(cut_shares(cut, np.zeros(30, bool), batch=8)["eliminated"])
