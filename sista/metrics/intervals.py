"""Uncertainty of test metrics: bootstrap over patients, DeLong, paired tests, Holm's correction."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
# `scipy.stats` is imported where it is first used: it costs half a second.
# Draws from which on their variance is told from the rest.
MANY_DRAWS = 5
# p values are not told apart below this.
_SMALLEST = 1e-9


def patient_weights(patients: Sequence[str], replicates: int, seed: int = 0) -> Floats:
    """Return how often each image is drawn when patients are drawn with replacement.

    Args:
        patients: patient of each image, [n]; all images of a patient are drawn together.
        replicates: number of bootstrap samples B.
        seed: seed of the sampling. The same patients give the same weights whatever the method
            that is scored, so differences of two methods' replicates are paired.

    Returns:
        Whole numbers as floats, [B, n].
    """
    _, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    count = int(owner.max()) + 1 if len(owner) else 0
    generator = np.random.default_rng([seed, count])
    # How often each patient is drawn is all that a resample consists of: no lists of indices.
    drawn = generator.multinomial(count, np.full(count, 1 / max(count, 1)), size=replicates)
    return drawn[:, owner].astype(np.float64)


def percentile_interval(replicates: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of bootstrap replicates [B]; undefined ones are left out.

    Both ends are NaN where fewer than half of the replicates are defined.
    """
    values = np.asarray(replicates, dtype=np.float64)
    defined = values[~np.isnan(values)]
    if len(defined) == 0 or 2 * len(defined) < len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


class MeanSquares(NamedTuple):
    """The two-way analysis of variance of tables; 0 where one has no degrees of freedom.

    Attributes:
        seeds: mean square of the S rows, `[...]`.
        draws: mean square of the D columns, likewise.
        rest: mean square of what neither explains, likewise.
    """

    seeds: Floats
    draws: Floats
    rest: Floats


def mean_squares(table: ArrayLike) -> MeanSquares:
    """Return the mean squares of crossed tables without repeats, `[..., S, D]`."""
    y = np.asarray(table, np.float64)
    seeds, draws = y.shape[-2:]
    centre = y.mean((-2, -1), keepdims=True)
    rows, columns = (y.mean(axis, keepdims=True) - centre for axis in (-1, -2))
    rest = y - centre - rows - columns

    def over(squares: Floats, freedom: int) -> Floats:
        return np.asarray(squares.sum((-2, -1)) / max(freedom, 1) * (freedom > 0))

    return MeanSquares(
        over(draws * rows**2, seeds - 1),
        over(seeds * columns**2, draws - 1),
        over(rest**2, (seeds - 1) * (draws - 1)),
    )


def half_width(
    p: float, squares: MeanSquares, patients: ArrayLike, shape: tuple[int, ...]
) -> Floats:
    """Return the half-widths `[...]` of the intervals of `crossed_interval` at a level p.

    Args:
        p: 0.05 for intervals of 95 %.
        squares: of the tables.
        patients: standard deviation of each mean between sets of patients, `[...]` or one.
        shape: S and D of each table.
    """
    seeds, draws = shape
    total = (scipy.stats.norm.isf(p / 2) * np.asarray(patients)) ** 2
    twice = squares.rest if draws >= MANY_DRAWS else 0.0
    each = (squares.seeds, seeds), (np.maximum(squares.draws - twice, 0.0), draws)
    for square, count in each:
        if count > 1:
            total = total + scipy.stats.t.isf(p / 2, count - 1) ** 2 * square / (seeds * draws)
    return np.asarray(np.sqrt(total))


def crossed_interval(points: ArrayLike, replicates: ArrayLike) -> tuple[float, float, float]:
    """Return a 95 % interval and the two-sided p of a mean over seeds and label draws, both random.

    Each seed is combined with each draw. Patients (bootstrap), seeds and draws each have a
    half-width, normal and Student's with S - 1 and D - 1 degrees of freedom; their squares add up
    (MOVER: Zou & Donner 2008). The mean square of seeds holds the rest too (seed x draw), so from 5
    draws on that of draws is taken without it; of fewer the difference would often be cut at 0
    where draws do vary. Simulated coverage is 95 to 99 % for 2 to 5 seeds and draws. p is the level
    whose interval ends at 0. With one seed, or one draw, others are not covered.

    Args:
        points: `[S, D]` value of each seed and draw.
        replicates: `[S, D, R]` of each, on the same R samples of patients.

    Returns:
        Low end, high end, p against 0; NaN where a cell has no value.
    """
    value = np.asarray(points, np.float64)
    # All seeds and draws meet the same patients: averaged before their spread is taken.
    samples = np.asarray(replicates, np.float64).mean((0, 1))
    patients = float(np.nanstd(samples, ddof=1)) if len(samples) > 1 else 0.0
    squares = mean_squares(value)

    def half(p: float) -> float:
        return float(half_width(p, squares, patients, value.shape))

    centre = float(value.mean())
    if not np.isfinite(half(0.5)) or not np.isfinite(centre):
        return float("nan"), float("nan"), float("nan")
    p = 1.0 if half(0.5) == 0 and centre == 0 else _SMALLEST
    if half(_SMALLEST) > abs(centre):
        # The half-width falls as p rises, so there is one root.
        p = float(scipy.optimize.brentq(lambda p: half(p) - abs(centre), _SMALLEST, 1.0))
    return centre - half(0.05), centre + half(0.05), p


def paired_bootstrap_p(differences: ArrayLike) -> float:
    """Return the two-sided p of paired bootstrap differences [B] against no difference.

    Twice the smaller tail beyond zero, with one added to count and size so that it is never 0.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return float("nan")
    tail = min(int((values <= 0).sum()), int((values >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(values) + 1))


def delong(target: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return the AUROC [m] of m correlated scores and their covariance [m, m].

    Rank form (Sun and Xu 2014) of DeLong, DeLong and Clarke-Pearson (1988), eq. 4-6.

    Args:
        target: 0, 1 or NaN (left out), [n].
        scores: [m, n].
    """
    truth = np.asarray(target, dtype=np.float64)
    known = ~np.isnan(truth)
    values = np.atleast_2d(np.asarray(scores, dtype=np.float64))[:, known]
    positive = truth[known] == 1
    m, n = int(positive.sum()), int((~positive).sum())
    size = len(values)
    if m == 0 or n == 0:
        return np.full(size, np.nan), np.full((size, size), np.nan)
    ranks = scipy.stats.rankdata(values, axis=1)
    of_positives = scipy.stats.rankdata(values[:, positive], axis=1)
    of_negatives = scipy.stats.rankdata(values[:, ~positive], axis=1)
    # Rank among all minus rank among its own kind: how many negatives score lower (ties half).
    by_positive = (ranks[:, positive] - of_positives) / n
    by_negative = 1 - (ranks[:, ~positive] - of_negatives) / m
    area = by_positive.mean(axis=1)
    return area, _covariance(by_positive) + _covariance(by_negative)


def _covariance(components: Floats) -> Floats:
    """Return the covariance of the mean of structural components [m, k], with k - 1 below."""
    count = components.shape[1]
    if count < 2:
        return np.full((len(components), len(components)), np.nan)
    centred = components - components.mean(axis=1, keepdims=True)
    covariance: Floats = centred @ centred.T / (count - 1) / count
    return covariance


def delong_interval(
    target: ArrayLike, score: ArrayLike, level: float = 0.95
) -> tuple[float, float, float]:
    """Return the AUROC and its normal-theory interval, cut to [0, 1]."""
    area, covariance = delong(target, score)
    half = float(scipy.stats.norm.ppf((1 + level) / 2)) * float(np.sqrt(covariance[0, 0]))
    value = float(area[0])
    return value, max(0.0, value - half), min(1.0, value + half)


def delong_test(target: ArrayLike, first: ArrayLike, second: ArrayLike) -> tuple[float, float]:
    """Return (z, p) of the paired test that two scores have the same AUROC.

    Scores without any difference give z = 0 and p = 1; an undefined AUROC gives NaN.
    """
    stacked = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    area, covariance = delong(target, stacked)
    if np.isnan(area).any():
        return float("nan"), float("nan")
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    difference = float(area[0] - area[1])
    # Equal rankings have no variance, up to rounding.
    if variance <= 1e-15:
        return (0.0, 1.0) if difference == 0 else (float(np.copysign(np.inf, difference)), 0.0)
    z = difference / float(np.sqrt(variance))
    return z, float(2 * scipy.stats.norm.sf(abs(z)))


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's step-down adjusted p values (1979); NaN stay NaN and are not counted."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    # The running maximum keeps the order: a larger p never has a smaller adjusted one.
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted
