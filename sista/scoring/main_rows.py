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
    wanted = {
        (task, metric): _with_controls(str(task), str(metric))
        for task, metric in set(zip(rows["task"], main, strict=True))
    }
    keys = zip(rows["task"], main, rows["metric"], strict=True)
    return rows[[metric in wanted[task, own] for task, own, metric in keys]]


def _with_controls(task: str, main: str) -> set[str]:
    rules = find_task(task)
    tested = rules.tested(main)
    return {*tested, *(control for word in tested for control in rules.metric(word).controls)}
