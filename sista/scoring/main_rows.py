"""The rows of a scores table that stand in the main tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sista import tables
from sista.errors import UserError
from sista.grid.grid import is_control
from sista.metadata import Meta
from sista.metrics.values import OVERALL
from sista.tasks._base import find_metric, find_task

AGAIN = "run `sista score` again"


def read_scores(path: Path) -> tuple[pd.DataFrame, Meta]:
    """Read a scores table with what its rows and metadata must agree in.

    Raises:
        UserError: see `tables.read`; or a run has no main metric, a share is none from 0 to 1, or
            the ends of an interval are exchanged.
    """
    scores, meta = tables.read(path, "scores")
    main = scores["predictions"].map(meta["main_metrics"])
    if main.isna().any():
        lost = scores["predictions"][main.isna()].iloc[0]
        raise UserError(f"{path}: its metadata name no main metric of {lost}; {AGAIN}")
    try:
        for task, metric in sorted(set(zip(scores["task"], main, strict=True))):
            find_task(task).metric(metric)
    except UserError as error:
        raise UserError(f"{path}: {error}; {AGAIN}") from error
    shares = [metric for metric in scores["metric"].unique() if find_metric(metric).percent]
    values = scores.loc[scores["metric"].isin(shares), ["value", "low", "high"]]
    wrong = ((values < 0) | (values > 1)).any(axis=1) | (values["low"] > values["high"])
    if wrong.any():
        raise UserError(
            f"{path} row {wrong.idxmax()}: no share from 0 to 1 with an interval; {AGAIN}"
        )
    return scores, meta


def overall(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the test rows over all classes."""
    return scores[(scores["subset"] == "test") & scores["label"].isin(OVERALL)]


def main_rows(scores: pd.DataFrame, main_metrics: Mapping[str, str]) -> pd.DataFrame:
    """Return the overall test rows of each run's main metric."""
    rows = overall(scores)
    return rows[rows["metric"] == rows["predictions"].map(dict(main_metrics))]


def shown_rows(scores: pd.DataFrame, main_metrics: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of the main tables: of each run's tested metrics and of their controls."""
    rows = overall(scores)
    main = rows["predictions"].map(dict(main_metrics))
    keys = list(zip(rows["task"], main, rows["fraction"], strict=True))
    # Asked once for each task, metric and fraction: a scores table has many rows.
    wanted = {key: find_task(str(key[0])).shown(str(key[1]), int(key[2])) for key in set(keys)}
    return rows[[m in wanted[key] for m, key in zip(rows["metric"], keys, strict=True)]]


def control_rows(scores: pd.DataFrame, meta: Mapping[str, Any]) -> frozenset[str]:
    """Return the variants that are controls: their method is one, or the grid says so.

    Args:
        scores: scores table.
        meta: its metadata; of an older version it names none.
    """
    pairs = scores[["variant", "method"]].drop_duplicates().to_numpy().tolist()
    own = {str(variant) for variant, method in pairs if is_control(str(method))}
    return frozenset(own | set(meta.get("controls", ())))


def off_plateau(rows: pd.DataFrame) -> pd.Series:
    """Return which rows come from a pre-training that left its plateau late or never."""
    return rows["plateau"].isin(("late", "stuck"))
