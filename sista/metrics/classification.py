"""Classification metrics of one finding, for any number of bootstrap weightings at once.

Every function takes `target` (1, 0, or NaN = not labelled: that image is left out) and `score`
(probability), both [n], and `weights` [..., n] (None = each image once), and returns values [...].
A value that is not defined (a class with one label value only) is NaN.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def _labelled(
    target: ArrayLike, score: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Return target, score and weights of the images that have a label."""
    truth = np.asarray(target, dtype=np.float64)
    values = np.asarray(score, dtype=np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError(f"target {truth.shape} and score {values.shape} must be equal vectors")
    weight = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = ~np.isnan(truth)
    return truth[known], values[known], weight[..., known]


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, NaN where below is 0."""
    result: Floats = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=result, where=np.asarray(below) > 0)
    return result


def _by_score(truth: Floats, values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return the weights of positives and negatives per distinct score, rising, [..., g]."""
    order = np.argsort(values, kind="stable")
    # Equal scores are one threshold: their weights are added up.
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values[order]) > 0) + 1])
    total = weight[..., order]
    positive = total * truth[order]
    if len(starts) < len(order):
        positive = np.add.reduceat(positive, starts, axis=-1)
        total = np.add.reduceat(total, starts, axis=-1)
    return positive, total - positive


def auroc(target: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the area under the ROC curve; a tie counts one half (Mann-Whitney)."""
    truth, values, weight = _labelled(target, score, weights)
    if len(truth) == 0:
        return np.full(weight.shape[:-1], np.nan)
    positive, negative = _by_score(truth, values, weight)
    # Of the negatives that tie with a positive half count as below it.
    below = np.cumsum(negative, axis=-1) - negative / 2
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    return _ratio((positive * below).sum(axis=-1), pairs)


def auprc(target: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the average precision: sum over thresholds of (R_k - R_(k-1)) P_k.

    NaN where one label value only is present, as for the AUROC.
    """
    truth, values, weight = _labelled(target, score, weights)
    if len(truth) == 0:
        return np.full(weight.shape[:-1], np.nan)
    positive, negative = (part[..., ::-1] for part in _by_score(truth, values, weight))
    true_positives = np.cumsum(positive, axis=-1)
    shown = true_positives + np.cumsum(negative, axis=-1)
    precision = np.divide(true_positives, shown, out=np.zeros_like(true_positives), where=shown > 0)
    count = np.where(negative.sum(axis=-1) > 0, positive.sum(axis=-1), 0.0)
    return _ratio((positive * precision).sum(axis=-1), count)


def accuracy(target: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the share of images on the right side of probability 0.5 (strictly above: yes)."""
    truth, values, weight = _labelled(target, score, weights)
    right = ((values > 0.5) == (truth == 1)).astype(np.float64)
    # Whole numbers: a matrix product is exact, whatever the order of its sums.
    return _ratio(weight @ right, weight.sum(axis=-1))


def accuracy_multiclass(
    target: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None
) -> Floats:
    """Return the share of images whose highest score is at the true class.

    Args:
        target: one-hot, [n, classes]; rows with NaN are left out.
        score: [n, classes]; of equal scores the first class counts.
        weights: [..., n].
    """
    truth = np.asarray(target, dtype=np.float64)
    weight = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = ~np.isnan(truth).any(axis=1)
    chosen = np.argmax(np.asarray(score, dtype=np.float64), axis=1)
    right = (truth[np.arange(len(truth)), chosen] == 1) & known
    return _ratio(weight @ right.astype(np.float64), weight @ known.astype(np.float64))


def f1(target: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return F1 = 2 TP / (2 TP + FP + FN) at probability 0.5; NaN without any positive."""
    truth, values, weight = _labelled(target, score, weights)
    predicted = (values > 0.5).astype(np.float64)
    hits = weight @ (truth * predicted)
    positives = weight @ truth
    both = np.where(positives > 0, positives + weight @ predicted, 0.0)
    return _ratio(2 * hits, both)


def brier(target: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the mean squared difference of probability and target, in [0, 1]; 0 is best."""
    truth, values, weight = _labelled(target, score, weights)
    return _ratio((weight * (values - truth) ** 2).sum(axis=-1), weight.sum(axis=-1))


def ece(
    target: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None, bins: int = 15
) -> Floats:
    """Return the expected calibration error over equally wide bins, in [0, 1]; 0 is best.

    The share of images in a bin times |mean probability - share of positives|, summed
    (Naeini et al. 2015; of one class against the rest, not of the top label).
    """
    truth, values, weight = _labelled(target, score, weights)
    bin_of = np.clip((values * bins).astype(np.int64), 0, bins - 1)
    gaps = np.zeros(weight.shape[:-1])
    for each in np.unique(bin_of):
        inside = bin_of == each
        # Not a matrix product: its bits could depend on the number of threads.
        gaps += np.abs((weight[..., inside] * (values - truth)[inside]).sum(axis=-1))
    return _ratio(gaps, weight.sum(axis=-1))
