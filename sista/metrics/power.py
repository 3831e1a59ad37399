"""How large a difference of two methods must be for a design of seeds and draws to see it."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sista.metrics.intervals import MANY_DRAWS, mean_squares


class Components(NamedTuple):
    """Variances of the difference of two methods, in squared units of the metric (a share, 0 to 1).

    Attributes:
        seed: between pre-training seeds.
        draw: between label draws.
        rest: of what neither explains (seed x draw).
        patient: of a mean over all seeds and draws, between sets of test patients of this size.
    """

    seed: float
    draw: float
    rest: float
    patient: float


def components(points: ArrayLike, replicates: ArrayLike) -> Components:
    """Return the unbiased variance components of paired differences; they may be below 0.

    From the mean squares of the crossed table and, for patients, from the bootstrap.

    Args:
        points: `[S, D]` difference of each seed and draw.
        replicates: `[S, D, R]` of each, on the same R samples of patients.

    Returns:
        The components. What has one level has no variance of its own: with one draw that of
        draws is 0 and `seed` is of a seed with that draw.
    """
    value = np.asarray(points, np.float64)
    seeds, draws = value.shape
    of_seeds, of_draws, rest = map(float, mean_squares(value))
    samples = np.asarray(replicates, np.float64).mean((0, 1))
    return Components(
        (of_seeds - rest) / draws if seeds > 1 else 0.0,
        (of_draws - rest) / seeds if draws > 1 else 0.0,
        rest,
        float(np.nanvar(samples, ddof=1)) if len(samples) > 1 else 0.0,
    )


def pooled(parts: Iterable[Components]) -> Components | None:
    """Return the mean components of several pairs of methods, none of them below 0.

    Cut off after the mean: cut off before, chance alone would make every component positive.

    Args:
        parts: of each pair; one with a NaN is left out.

    Returns:
        None where there is no pair.
    """
    known = [part for part in parts if np.isfinite(part).all()]
    if not known:
        return None
    return Components(*(max(0.0, float(mean)) for mean in np.mean(known, axis=0)))


def smallest_visible(
    seeds: int, draws: int, parts: Components, *, level: float = 0.05, power: float = 0.8
) -> float:
    """Return the true difference that `crossed_interval` tells from 0 with this power.

    The two-sided quantile and that of the power, each times the standard error. As in the interval,
    each source has a quantile of its own: patients the normal one, seeds and draws Student's with
    S - 1 and D - 1 degrees of freedom, and their squares add up. What has one level is not
    estimated by such a design; its variance is taken as known and has the normal quantile.

    Args:
        seeds: S, pre-training seeds, at least 1.
        draws: D, label draws of each, at least 1.
        parts: variance components of a difference of two methods.
        level: of the two-sided test.
        power: share of designs that see the difference.

    Returns:
        In units of the metric, a share: 0.02 is two points.

    Raises:
        ValueError: there is no seed or no draw.
    """
    if seeds < 1 or draws < 1:
        raise ValueError(f"{seeds} seeds and {draws} draws: at least 1 of each is needed")
    seed, draw, rest, patient = (max(0.0, part) for part in parts)
    # So does that of few draws.
    also = rest / (seeds * draws) if 1 < draws < MANY_DRAWS else 0.0
    sources = (
        (patient, math.inf),
        # As in the interval, the mean square of seeds holds the rest too.
        (seed / seeds + rest / (seeds * draws), seeds - 1 or math.inf),
        (draw / draws + also, draws - 1 or math.inf),
    )

    def times(tail: float) -> float:
        return math.sqrt(
            sum(v * float(scipy.stats.t.isf(tail, freedom)) ** 2 for v, freedom in sources)
        )

    return times(level / 2) + times(1 - power)
