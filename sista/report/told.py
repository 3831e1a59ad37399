"""Which rows of a table are told apart: what a paper may print in bold and underlined."""

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pandas as pd

from sista.report.cells import Block, Cell, Column, TaskTable
from sista.scoring.comparisons import GROUP, Cells, from_scores
from sista.tasks._base import find_metric

BEST, SECOND = "best", "second"
LEVEL = 0.05
# A 95 % interval of a normal law is so many standard deviations wide.
WIDTH = 2 * 1.959964


def told_apart(
    table: TaskTable, rows: pd.DataFrame, tests: pd.DataFrame, controls: Collection[str]
) -> TaskTable:
    """Return a table whose best cells are marked where a test tells them from all below.

    A paired test of the scores decides (Holm-corrected p below 0.05), or where none was made of two
    rows the interval of their difference from the scores alone, which is rather too wide. The
    second is marked beside a marked best alone, and only where rows below it are told apart too.

    Args:
        table: a main table.
        rows: the rows of scores that it shows.
        tests: comparisons of the scores; empty = none.
        controls: variants that compete with no other row.
    """
    known = _tested(tests)

    def apart(first: pd.DataFrame, second: pd.DataFrame) -> bool:
        place = first[[*GROUP, "fraction"]].iloc[0].tolist()
        names = [str(part["variant"].iloc[0]) for part in (first, second)]
        p = known.get((*place, *names), known.get((*place, *reversed(names))))
        if p is not None:
            return p < LEVEL
        values = from_scores(cells_of(first), cells_of(second))
        return values is not None and (values[1] > 0 or values[2] < 0)

    blocks = tuple(_marked(block, table.columns, rows, apart, controls) for block in table.blocks)
    return replace(table, blocks=blocks)


def _tested(tests: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    if tests.empty:
        return {}
    keys = tests[[*GROUP, "fraction", "variant", "baseline"]].itertuples(index=False, name=None)
    made = dict(zip(keys, tests["p_holm"], strict=True))
    return {key: float(p) for key, p in made.items() if not pd.isna(p)}


def cells_of(rows: pd.DataFrame) -> Cells:
    """Return what the scores say of a row: value and spread over patients by (seed, draw)."""
    found: Cells = {}
    columns = (rows[name].to_list() for name in ("seed", "draw", "value", "low", "high"))
    for seed, draw, value, low, high in zip(*columns, strict=True):
        if not math.isnan(value):
            spread = (high - low) / WIDTH
            found[seed, draw] = (value, 0.0 if math.isnan(spread) else spread)
    return found


def _marked(
    block: Block,
    columns: Collection[Column],
    rows: pd.DataFrame,
    apart: Callable[[pd.DataFrame, pd.DataFrame], bool],
    controls: Collection[str],
) -> Block:
    made = {name: dict(cells) for name, cells in block.rows.items()}
    for column in columns:
        metric = find_metric(column.metric)
        of = {name: _behind(rows, column, cells[column]) for name, cells in made.items()}
        names = [
            name
            for name, part in of.items()
            # One seed ranks nothing.
            if made[name][column].ranked
            and made[name][column].seeds > 1
            and part["variant"].iloc[0] not in controls
        ]
        sign = 1 if metric.lower_is_better else -1
        names.sort(key=lambda name: sign * made[name][column].mean)
        for place, mark in enumerate((BEST, SECOND)):
            below = names[place + 1 :]
            if metric.control or not below:
                break
            if not all(apart(of[names[place]], of[other]) for other in below):
                break
            made[names[place]][column] = replace(made[names[place]][column], told=mark)
    return replace(block, rows=made)


def _behind(rows: pd.DataFrame, column: Column, cell: Cell) -> pd.DataFrame:
    """Return the rows of scores behind a cell."""
    own = rows[rows["predictions"].isin(cell.predictions)]
    return own[(own["metric"] == column.metric) & (own["fraction"] == column.fraction)]
