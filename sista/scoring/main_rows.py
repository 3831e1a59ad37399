"""The rows of a scores table that stand in the main tables."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sista.grid.grid import is_control
from sista.metrics.values import OVERALL
from sista.tasks._base import find_task


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
