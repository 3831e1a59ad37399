"""Retrieval between films and reports where a report with the same findings is no error.

And how well a cut on report similarity finds the pairs that say the same.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def first_relevant_rank(scores: Floats, relevant: Bools) -> Floats:
    """Return the rank of the best relevant item of each query, `[N]`, 1 = first.

    Items that tie with it and are not relevant stand before it, so a collapsed embedding gains
    nothing. A query without a relevant item gives infinity.

    Args:
        scores: `[N, M]`, larger = more alike.
        relevant: `[N, M]`.
    """
    best = np.where(relevant, scores, -np.inf).max(1, keepdims=True)
    before = ((scores >= best) & ~relevant).sum(1)
    return np.where(relevant.any(1), 1.0 + before, np.inf)


def recall_at(scores: Floats, relevant: Bools, k: int) -> Floats:
    """Return for each query whether a relevant item is among the first k, `[N]` of 0 and 1."""
    return (first_relevant_rank(scores, relevant) <= k).astype(np.float64)


def chance_recall(relevant: Bools, k: int) -> Floats:
    """Return the expected `recall_at` of a random order of the items, `[N]`.

    `1 - C(M - m, k) / C(M, k)` with m relevant items among M.
    """
    items, wanted = relevant.shape[1], relevant.sum(1).astype(np.float64)
    k = min(k, items)
    rest = items - wanted
    possible = rest >= k
    # With fewer than k irrelevant items one of the first k is relevant; any valid number does here.
    room = np.where(possible, rest, k)
    # In logarithms, since the factorials overflow; k! cancels.
    log_miss = gammaln(room + 1) - gammaln(room - k + 1) - gammaln(items + 1)
    log_miss += gammaln(items - k + 1)
    return np.where(possible, 1.0 - np.exp(log_miss), 1.0)


def same_findings(labels: Floats) -> Bools:
    """Return which two studies have the same findings, `[N, N]`.

    Args:
        labels: `[N, C]`: 1 present, -1 uncertain (counts as present), 0 and NaN not. A study
            without any known label is like none other.
    """
    present = np.nan_to_num(labels) != 0
    known = ~np.all(np.isnan(labels), axis=1)
    alike = np.all(present[:, None] == present[None], axis=-1)
    same: Bools = alike & known[:, None] & known[None]
    return same


class CutQuality(NamedTuple):
    """How well a cut on similarity finds the pairs that truly say the same.

    Attributes:
        pairs: ordered pairs of different studies.
        cut: share of them above the threshold.
        same: share of them that truly say the same.
        precision: of the cut pairs, those that say the same; NaN where none is cut.
        recall: of the pairs that say the same, those that are cut; NaN where there is none.
    """

    pairs: int
    cut: float
    same: float
    precision: float
    recall: float


def cut_quality(
    similarity: Floats, same: Bools, threshold: float, rows: Mapping[str, Bools]
) -> dict[str, CutQuality]:
    """Compare the pairs above a threshold with the truth, in groups of rows.

    Args:
        similarity: `[N, N]`.
        same: `[N, N]`, the truth.
        threshold: pairs strictly above it are cut.
        rows: name and `[N]` bool of each group, e.g. normal and abnormal studies.
    """
    other = ~np.eye(len(same), dtype=bool)
    qualities = {}
    for name, chosen in rows.items():
        every = other[chosen]
        cut, truth = (similarity[chosen] > threshold)[every], same[chosen][every]
        both, count = float((cut & truth).sum()), every.sum()
        qualities[name] = CutQuality(
            int(count),
            float(cut.mean()) if count else np.nan,
            float(truth.mean()) if count else np.nan,
            both / cut.sum() if cut.any() else np.nan,
            both / truth.sum() if truth.any() else np.nan,
        )
    return qualities
