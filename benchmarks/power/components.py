"""Copies of one method, and how often the suite's test is wrong about them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.power.tables import Place, Table
from sista.metrics.intervals import crossed_interval
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


def false_alarms(place: Place, table: Table, size: int, draws: int) -> dict[str, Any]:
    """Return how often two copies of one method are told apart at 5 %, and how often at 1 %.

    The ways to part a few seeds overlap, so the share is less certain than its number of splits
    says; `simulated` has no such limit.
    """
    rng = np.random.default_rng([size, draws])
    p = [crossed_interval(d.values, d.replicates)[2] for d in copies(table, size, draws, rng)]
    shares = {f"below_{level:g}": float(np.mean(np.array(p) < level)) for level in (0.05, 0.01)}
    return {**place._asdict(), "seeds": size, "draws": draws, "splits": len(p), **shares}


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
    spread: NDArray[np.float64] = rng.normal(0, np.sqrt(c.patient), (1, 1, 1000))
    replicates = np.broadcast_to(spread, (seeds, draws, 1000))
    return float(np.mean([crossed_interval(one, replicates)[2] < 0.05 for one in points]))
