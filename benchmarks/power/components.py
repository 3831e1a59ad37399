"""Copies of one method, and how often the suite's test is wrong about them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.power.tables import Floats, Place, Table
from sista.metrics.intervals import half_width, mean_squares
from sista.metrics.power import Components

# Random ways to part the seeds of one method into two copies of it.
SPLITS = 200


def copies(table: Table, size: int, draws: int, rng: np.random.Generator) -> Iterator[Table]:
    """Yield differences of two copies of one method: other seeds, the same draws of labels.

    Args:
        table: of the method, with at least twice `size` seeds.
        size: seeds of a copy.
        draws: label draws.
        rng: parts the seeds.
    """
    for _ in range(SPLITS):
        order = rng.permutation(len(table.seeds))
        columns = np.sort(rng.permutation(table.values.shape[1])[:draws])
        first, second = order[:size], order[size : 2 * size]
        yield table.of(first, columns).minus(table.of(second, columns))


def told(points: Floats, patients: Floats | float, level: float) -> NDArray[np.bool_]:
    """Return which differences the suite's test tells from 0: `crossed_interval`, many at a time.

    Args:
        points: `[T, S, D]`, T differences of S seeds and D draws.
        patients: standard deviation of each mean between sets of patients, `[T]` or one.
        level: of the two-sided test.
    """
    half = half_width(level, mean_squares(points), patients, points.shape[1:])
    found: NDArray[np.bool_] = np.abs(points.mean((1, 2))) > half
    return found


def false_alarms(place: Place, table: Table, size: int, draws: int) -> dict[str, Any]:
    """Return how often two copies of one method are told apart at 5 %, and how often at 1 %.

    The ways to part a few seeds overlap, so the share is less certain than its number of splits
    says; `simulated` has no such limit.
    """
    rng = np.random.default_rng([size, draws])
    found = list(copies(table, size, draws, rng))
    points = np.array([each.values for each in found])
    patients = np.array([np.nanstd(each.replicates.mean((0, 1)), ddof=1) for each in found])
    shares = {f"below_{p:g}": float(told(points, patients, p).mean()) for p in (0.05, 0.01)}
    return {**place._asdict(), "seeds": size, "draws": draws, "splits": len(found), **shares}


def simulated(c: Components, seeds: int, draws: int, shift: float, times: int = 2000) -> float:
    """Return how often the suite's test finds a difference of `shift` at 5 %.

    Differences are drawn with these components: normal effects of seeds, draws, cells and patients.
    With a shift of 0 that is the rate of false alarms, else the power.
    """
    rng = np.random.default_rng([seeds, draws])
    shape = (times, seeds, draws)
    points = shift + rng.normal(0, np.sqrt(c.rest), shape)
    points += rng.normal(0, np.sqrt(c.seed), (times, seeds, 1))
    points += rng.normal(0, np.sqrt(c.draw), (times, 1, draws))
    points += rng.normal(0, np.sqrt(c.patient), (times, 1, 1))
    return float(told(points, float(np.sqrt(c.patient)), 0.05).mean())
