"""The rows of a scores table that stand in the main tables."""

from collections.abc import Mapping

import pandas as pd

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
