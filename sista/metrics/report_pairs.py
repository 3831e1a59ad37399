"""Precision and recall of "these two reports say the same", with intervals over reports."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class PairScore:
    """What a cut does in some rows of the pair matrix.

    Attributes:
        pairs: pairs that are cut.
        eliminated: share of all pairs that are cut.
        precision: share of the cut pairs that are the same; NaN where none is cut.
        recall: share of the same pairs that are cut.
        low: 2.5 % quantiles of the three, in this order.
        high: their 97.5 % quantiles.
    """

    pairs: int
    eliminated: float
    precision: float
    recall: float
    low: tuple[float, float, float]
    high: tuple[float, float, float]


def bootstrap_weights(count: int, draws: int, seed: int = 0) -> Matrix:
    """Return how often each of `count` reports is drawn, `[count, draws]`; column 0 is all ones."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=draws)
    return np.concatenate([np.ones((count, 1)), drawn.T], axis=1).astype(np.float32)


def score_cut(
    cut: NDArray[np.bool_], same: NDArray[np.bool_], rows: NDArray[np.bool_], weights: Matrix
) -> PairScore:
    """Score a cut in the rows of some reports; a report is never paired with itself.

    Args:
        cut: `[N, N]` pairs that are taken for the same.
        same: `[N, N]` pairs that are.
        rows: `[N]` reports whose rows count.
        weights: `[N, 1 + draws]` of `bootstrap_weights`.
    """
    left = weights[rows]

    def total(pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        kept = pairs[rows].astype(np.float32)
        # The diagonal, which lies elsewhere once rows are chosen.
        kept[np.arange(rows.sum()), np.flatnonzero(rows)] = 0
        # Added up in double: single precision counts exactly to 2**24 only.
        summed: NDArray[np.float64] = (left * (kept @ weights)).sum(0, dtype=np.float64)
        return summed

    every, chosen, alike, both = (total(p) for p in (np.ones_like(cut), cut, same, cut & same))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.stack([chosen / every, both / chosen, both / alike])
    low, high = (_quantile(values[:, 1:], q) for q in (0.025, 0.975))
    eliminated, precision, recall = (float(v) for v in values[:, 0])
    return PairScore(int(chosen[0]), eliminated, precision, recall, low, high)


def _quantile(values: NDArray[np.float64], q: float) -> tuple[float, float, float]:
    """Return a quantile of each row over the draws where it is defined."""
    defined = [row[np.isfinite(row)] for row in values]
    a, b, c = (float(np.quantile(row, q)) if len(row) else float("nan") for row in defined)
    return a, b, c


def f_score(precision: float, recall: float, beta: float = 0.5) -> float:
    """Return the F score; beta below 1 weighs precision more. 0 where either is undefined or 0."""
    if not precision > 0 or not recall > 0:
        return 0.0
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def cut_shares(
    cut: NDArray[np.bool_], rows: NDArray[np.bool_], batch: int, draws: int = 200
) -> dict[str, float]:
    """Return what a cut leaves out of random batches in the rows of some reports.

    Args:
        cut: `[N, N]` pairs that are taken for the same.
        rows: `[N]` reports whose rows count.
        batch: reports in a batch; at most N are used.
        draws: batches, drawn with a fixed seed.

    Returns:
        `eliminated`: mean share of a row's others that is left out; `eliminated_low` and
        `eliminated_high`: 5 % and 95 % quantiles over the batches. NaN without such rows.
    """
    generator = np.random.default_rng(0)
    size = min(batch, len(cut))
    shares = []
    for _ in range(draws):
        chosen = generator.choice(len(cut), size, replace=False)
        kept = chosen[rows[chosen]]
        if len(kept) and size > 1:
            # A report with itself: cut or not, it is no pair.
            own = cut[kept, kept].sum()
            shares.append((cut[np.ix_(kept, chosen)].sum() - own) / (len(kept) * (size - 1)))
    if not shares:
        return dict.fromkeys(("eliminated", "eliminated_low", "eliminated_high"), float("nan"))
    low, high = np.quantile(shares, [0.05, 0.95])
    return {
        "eliminated": float(np.mean(shares)),
        "eliminated_low": float(low),
        "eliminated_high": float(high),
    }
