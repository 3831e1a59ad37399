"""Tests of any two rows of a grid on the same test patients, made when the site is built."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sista.errors import UserError
from sista.files import sha256
from sista.grid.runs import AdaptRun, PretrainRun
from sista.metrics.intervals import holm
from sista.report.told import cells_of
from sista.runs.ancestry import result_path
from sista.scoring.cached import FileScores, score_file
from sista.scoring.comparisons import GROUP, Cells, comparisons, from_scores
from sista.scoring.main_rows import shown_rows
from sista.site.leaderboard import BLOCK, KEYS, Grid
from sista.tasks._base import find_metric

PAIRED, ALONE, ACROSS = "paired", "alone", "across"
# Rows of these can be compared, whatever made them; of larger blocks the page would grow too heavy.
SAME = "dataset task protocol fraction metric".split()
MOST = 150


class Pair(NamedTuple):
    """A difference of two rows, first minus second, in units of the metric.

    Attributes:
        first: index of a row of the leaderboard.
        second: of another one.
        difference: mean over the seeds and draws that both have.
        low: of its 95 % interval over patients and, where there are several, seeds and draws.
        high: of that interval.
        p: two-sided, against 0; NaN with one seed, which ranks nothing, and without predictions.
        p_holm: corrected within one baseline of the scores, or over all pairs of the block.
        kind: `paired`: on the same samples of patients. `alone`: from the scores alone, patients
            taken as if they were other ones, so the interval is too wide rather than too narrow.
            `across`: the same, of rows that differ in more than their variant.
    """

    first: int
    second: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    kind: str


def pairs(grid: Grid, rows: pd.DataFrame, results: Path) -> Iterator[Pair]:
    """Yield a test of any two rows of a grid that differ in their variant alone.

    From the predictions where all of the grid are there; else as the scores hold them, and what
    these lack from the values of seeds and draws.

    Args:
        grid: the grid.
        rows: all rows of the leaderboard; its index numbers them.
        results: folder of all results.
    """
    own = rows[(rows["grid"] == grid.name) & rows["main"] & rows["value"].notna()]
    own = own[[not find_metric(metric).control for metric in own["metric"]]]
    known = _tested(grid, results)
    cells = _cells(grid)
    for _, block in own.groupby(BLOCK, sort=False):
        for first, second in combinations(block.to_dict("index").items(), 2):
            found = known.get(_name(first[1], second[1])) or _turned(
                known.get(_name(second[1], first[1]))
            )
            values = found or _alone(cells[_cell(first[1])], cells[_cell(second[1])])
            if values is not None:
                yield Pair(int(str(first[0])), int(str(second[0])), *values)


def across(grids: Iterable[Grid], rows: pd.DataFrame) -> Iterator[Pair]:
    """Yield the difference of rows of other encoders, heads or grids on the same data.

    Args:
        grids: all grids of the leaderboard.
        rows: all rows of the leaderboard; its index numbers them.
    """
    cells = {place: found for grid in grids for place, found in _cells(grid).items()}
    shown = rows[rows["main"] & rows["value"].notna()]
    shown = shown[[not find_metric(metric).control for metric in shown["metric"]]]
    for _, block in shown.groupby(SAME, sort=False):
        if len(block) > MOST:
            continue
        for first, second in combinations(block.to_dict("index").items(), 2):
            if all(first[1][key] == second[1][key] for key in BLOCK):
                continue
            values = _alone(cells[_cell(first[1])], cells[_cell(second[1])])
            if values is not None:
                yield Pair(int(str(first[0])), int(str(second[0])), *values[:-1], ACROSS)


Values = tuple[float, float, float, float, float, str]


def _name(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> tuple[Any, ...]:
    place = (first[key] for key in (*GROUP, "fraction"))
    return (*place, first["variant"], second["variant"])


def _turned(values: Values | None) -> Values | None:
    """Return a test with the sides changed."""
    if values is None:
        return None
    difference, low, high, *rest = values
    return (-difference, -high, -low, *rest)  # type: ignore[return-value]


def _alone(first: Cells, second: Cells) -> Values | None:
    """Return the difference that the scores alone tell, without a test."""
    told = from_scores(first, second)
    return None if told is None else (*told, float("nan"), float("nan"), ALONE)


def _tested(grid: Grid, results: Path) -> dict[tuple[Any, ...], Values]:
    """Return the paired tests that there are, by place, variant and the other variant."""
    scored = list(_predictions(grid, results))
    stored = list(grid.meta.get("comparisons", []))
    if scored:
        variants = list(dict.fromkeys(map(str, grid.scores["variant"])))
        order = {variant: number for number, variant in enumerate(variants)}
        stored = comparisons(scored, variants)
        # Each pair once. One correction for all pairs of a block, whoever is looked for in it.
        stored = [t for t in stored if order.get(t["baseline"], -1) > order[t["variant"]]]
        blocks = pd.DataFrame(stored).groupby(list(GROUP)).indices if stored else {}
        for places in blocks.values():
            corrected = holm([stored[place]["p"] for place in places])
            for place, p in zip(places, corrected, strict=True):
                stored[place]["p_holm"] = float(p)
    tests: dict[tuple[Any, ...], Values] = {}
    for test in stored:
        # No draw that every seed has: there is nothing to tell.
        if not np.isnan(test["difference"]):
            place = tuple(test[key] for key in (*GROUP, "fraction", "variant", "baseline"))
            numbers = (test[key] for key in ("difference", "low", "high", "p", "p_holm"))
            tests[place] = (*map(float, numbers), PAIRED)  # type: ignore[assignment]
    return tests


def _predictions(grid: Grid, results: Path) -> Iterator[tuple[AdaptRun, FileScores]]:
    """Yield the runs of a grid with their replicates; nothing if any of its predictions is gone."""
    runs = list(grid.scores.groupby("predictions", sort=False))
    for path, part in runs:
        try:
            file = result_path(str(path), results)
        except UserError:
            return
        if not file.is_file() or sha256(file) != part["predictions_sha256"].iloc[0]:
            return
    for path, part in runs:
        first = part.iloc[0]
        budget, variant, method = (str(first[name]) for name in ("budget", "variant", "method"))
        encoder, family, corpus = (str(first[name]) for name in ("encoder", "family", "corpus"))
        seed = int(first["seed"])
        # Settings are part of no number: the table names them by their hash.
        pretrain = PretrainRun(budget, variant, method, {}, encoder, family, corpus, seed)
        draws, fractions = (
            tuple(map(int, dict.fromkeys(part[name]))) for name in ("draw", "fraction")
        )
        words = ("protocol", "dataset", "task", "head")
        protocol, dataset, task, head = (str(first[name]) for name in words)
        scores = score_file(
            result_path(str(path), results),
            task,
            main=str(grid.meta["main_metrics"][path]),
            bootstrap=int(grid.meta["bootstrap"]),
            cache_folder=results / "score/cache",
        )
        yield AdaptRun(protocol, dataset, task, head, pretrain, draws, fractions), scores


def _cell(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in KEYS)


def _cells(grid: Grid) -> dict[tuple[Any, ...], Cells]:
    """Return what the scores say of each row."""
    shown = shown_rows(grid.scores, grid.meta["main_metrics"]).assign(grid=grid.name)
    return {place: cells_of(part) for place, part in shown.groupby(list(KEYS), sort=False)}
