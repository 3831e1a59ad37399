"""The rows of the leaderboard: a row for each cell of each grid's tables, of one metric each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sista.errors import UserError, check_word
from sista.report.cells import TaskTable, mean_of, std_of
from sista.report.main_tables import main_tables, smallest_difference
from sista.scoring.main_rows import control_rows, off_plateau, overall, read_scores, shown_rows
from sista.tasks._base import find_metric

# What makes two rows two.
KEYS = (
    "grid variant method encoder corpus budget dataset task head protocol fraction metric".split()
)
# Rows that are equal in these differ in their variant alone (a variant has one budget).
BLOCK = "grid encoder corpus dataset task head protocol fraction metric".split()


@dataclass(frozen=True)
class Grid:
    """A scores table and what stands on its page.

    Attributes:
        name: of the grid.
        title: for people.
        scores: the table.
        meta: its metadata.
        path: of the table; figures and a text may lie beside it.
        tables: main table by task.
    """

    name: str
    title: str
    scores: pd.DataFrame
    meta: dict[str, Any]
    path: Path
    tables: dict[str, TaskTable]


def read_grids(paths: Iterable[Path]) -> list[Grid]:
    """Read scores tables, one for each grid.

    Raises:
        UserError: a file is no scores table, or two are of one grid.
    """
    found: dict[str, Grid] = {}
    for path in paths:
        scores, meta = read_scores(path)
        name = str(meta["grid"])
        # Of files and addresses of the site.
        check_word(f"{path}: its grid", name)
        if name in found:
            raise UserError(f"{path} and {found[name].path}: both of grid {name}; name one of them")
        title = str(meta.get("title") or name)
        found[name] = Grid(name, title, scores, dict(meta), path, main_tables(scores, meta))
    if not found:
        raise UserError("there are no scores; run `make run`, or name them: --scores FILE")
    return list(found.values())


def leaderboard(grids: Iterable[Grid]) -> pd.DataFrame:
    """Return the rows of all grids.

    Returns:
        `KEYS` and: `value`, the mean over draws and seeds, `std`, `low` and `high`, the means of
        the 95 % intervals over test patients, all in units of the metric and NaN where there is
        none; `n`, images behind it; `seeds`, `draws`; `main`, whether the main tables show it;
        `control`; `plateau`, how pre-training left its plateau where a seed did so late or never;
        `note`, why there is no value; `visible`, the smallest difference that the design of its
        grid tells from chance, NaN = unknown; `study`, where the variances of that come from.
    """
    return pd.concat([_rows(grid) for grid in grids], ignore_index=True)


def _rows(grid: Grid) -> pd.DataFrame:
    whole = overall(grid.scores).assign(grid=grid.name)
    shown = set(shown_rows(grid.scores, grid.meta["main_metrics"]).index)
    whole = whole.assign(main=whole.index.isin(shown), late=off_plateau(whole))
    grouped = whole.groupby(KEYS, sort=False, dropna=False)
    rows = grouped.agg(
        value=("value", mean_of),
        std=("value", std_of),
        low=("low", "mean"),
        high=("high", "mean"),
        n=("n", "max"),
        seeds=("seed", "nunique"),
        draws=("draw", "nunique"),
        main=("main", "any"),
        plateau=("plateau", _plateau),
        note=("note", lambda notes: "; ".join(dict.fromkeys(notes.dropna()))),
    ).reset_index()
    controls = control_rows(grid.scores, grid.meta)
    rows["control"] = rows["variant"].isin(controls)
    known = dict(_visible(grid))
    where = ("encoder", "protocol", "dataset", "metric", "fraction", "head")
    places = rows[list(where)].itertuples(index=False, name=None)
    told = [known.get(place, known.get((*place[:-1], ""), (np.nan, ""))) for place in places]
    rows["visible"], rows["study"] = zip(*told, strict=True)
    return rows


def _plateau(kinds: "pd.Series[str]") -> str:
    """Return in words what was late or stuck, one entry a head of each seed."""
    marked = kinds[kinds.isin(("late", "stuck"))].drop_duplicates()
    return " and ".join(map(str, marked))


def _visible(grid: Grid) -> Iterator[tuple[tuple[Any, ...], tuple[float, str]]]:
    """Yield the smallest visible difference of each encoder and column of the main tables."""
    tests = pd.DataFrame(grid.meta.get("comparisons", []))
    for table in grid.tables.values():
        encoders = dict.fromkeys(block.encoder for block in table.blocks)
        for encoder, column in product(encoders, table.columns):
            # As the captions of the tables say it.
            found = smallest_difference(table, column, tests, encoder=encoder)
            if found is not None and not find_metric(column.metric).control:
                place = (column.protocol, column.dataset, column.metric, column.fraction)
                yield (encoder, *place, column.head), found
