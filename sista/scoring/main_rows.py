"""The rows of a scores table that stand in the main tables."""

from collections.abc import Mapping

import pandas as pd

from sista.metrics.values import OVERALL
from sista.tasks._base import find_metric


def overall(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the test rows over all classes."""
    return scores[(scores["subset"] == "test") & scores["label"].isin(OVERALL)]


def main_rows(scores: pd.DataFrame, main_metrics: Mapping[str, str]) -> pd.DataFrame:
    """Return the overall test rows of each run's main metric."""
    rows = overall(scores)
    return rows[rows["metric"] == rows["predictions"].map(dict(main_metrics))]


def shown_rows(scores: pd.DataFrame, main_metrics: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of a main table: of each run's main metric and of that metric's controls."""
    rows = overall(scores)
    main = rows["predictions"].map(dict(main_metrics))
    controls = {str(m): find_metric(str(m)).controls for m in main.dropna().unique()}
    shown = [
        metric == own or metric in controls.get(own, ())
        for metric, own in zip(rows["metric"], main, strict=True)
    ]
    return rows[shown]
