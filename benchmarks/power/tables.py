"""Crossed tables of a grid's scores: seeds by label draws, with the bootstrap of patients."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sista.grid.grid import Grid
from sista.metrics.values import OVERALL
from sista.stages.score import score_runs

Floats = NDArray[np.float64]


class Place(NamedTuple):
    """What is measured where."""

    dataset: str
    task: str
    head: str
    metric: str
    encoder: str
    fraction: int


@dataclass(frozen=True)
class Table:
    """The main metric of one variant.

    Attributes:
        values: `[S, D]` of each seed and draw, 0 to 1.
        replicates: `[S, D, R]` of each on the same samples of test patients.
        seeds: numbers of the seeds.
        patients: test patients behind each value, by images.
    """

    values: Floats
    replicates: Floats
    seeds: tuple[int, ...]
    patients: int

    def of(self, seeds: NDArray[np.int64], draws: NDArray[np.int64]) -> "Table":
        """Return the table of some rows and columns."""
        cut = np.ix_(seeds, draws)
        chosen = tuple(self.seeds[n] for n in seeds)
        return Table(self.values[cut], self.replicates[cut], chosen, self.patients)

    def minus(self, other: "Table") -> "Table":
        """Return the differences, cell by cell."""
        values, replicates = self.values - other.values, self.replicates - other.replicates
        return Table(values, replicates, self.seeds, self.patients)


def tables(
    grid: Path, results: Path, bootstrap: int, threads: int
) -> dict[Place, dict[str, Table]]:
    """Return the table of each place and variant of a finished grid; incomplete ones are left out.

    Args:
        grid: the grid file.
        results: folder of its results.
        bootstrap: samples of patients.
        threads: processes.
    """
    runs = list(Grid.load(grid).adapt_runs())
    cells: dict[Place, dict[str, dict[tuple[int, int], tuple[float, Floats, int]]]] = {}
    for run, scores in score_runs(runs, results=results, bootstrap=bootstrap, threads=threads):
        for item in scores.values:
            key = (scores.main, int(item["fraction"]), int(item["draw"]))
            if item["metric"] != scores.main or item["subset"] != "test" or key[1] < 1:
                continue
            if item["label"] not in OVERALL or key not in scores.replicates:
                continue
            place = Place(run.dataset, run.task, run.head, scores.main, run.encoder, key[1])
            of = cells.setdefault(place, {}).setdefault(run.variant, {})
            of[run.seed, key[2]] = (float(item["value"]), scores.replicates[key], int(item["n"]))
    return {p: dict(_whole(variants)) for p, variants in cells.items()}


def _whole(
    variants: dict[str, dict[tuple[int, int], tuple[float, Floats, int]]],
) -> Iterator[tuple[str, Table]]:
    for variant, cells in variants.items():
        seeds, draws = (sorted({cell[n] for cell in cells}) for n in (0, 1))
        if len(cells) == len(seeds) * len(draws):
            rows = [[cells[seed, draw] for draw in draws] for seed in seeds]
            values = np.array([[cell[0] for cell in row] for row in rows])
            replicates = np.array([[cell[1] for cell in row] for row in rows])
            if np.isfinite(values).all():
                yield variant, Table(values, replicates, tuple(seeds), rows[0][0][2])
