"""What the page of the leaderboard reads: rows and tests as numbers and as they are shown."""

from typing import Any

import numpy as np
import pandas as pd

from sista.report.alternatives import shown_number
from sista.report.captions import count
from sista.site.leaderboard import KEYS
from sista.site.pairs import Pair
from sista.tasks._base import find_metric

FILTERS = {
    "protocol": "Protocol",
    "task": "Task",
    "metric": "Metric",
    "dataset": "Data set",
    "encoder": "Encoder",
    "method": "Method",
    "head": "Head",
    "fraction": "Labels",
    "grid": "Grid",
}
COLUMNS = {
    "index": "Compare",
    "variant": "Variant",
    "encoder": "Encoder",
    "dataset": "Data set",
    "fraction": "Labels",
    "value": "Value",
    "low": "95 % interval",
    "visible": "Smallest visible difference",
    "n": "Runs",
    "method": "Method",
    "head": "Head",
    "corpus": "Corpus",
    "budget": "Budget",
    "grid": "Grid",
    "task": "Task",
    "metric": "Metric",
    "protocol": "Protocol",
}


def data(rows: pd.DataFrame, tests: list[Pair]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return the rows of the leaderboard and the tests of its pairs, packed for the page.

    Words stand once and rows name them by number. Numbers are those of the scores to the last bit,
    None where there is none; what is shown is text, rounded as in the tables.
    """
    words = [*KEYS, "plateau", "note", "title", "runs", "difference"]
    words.remove("fraction")
    metrics = [find_metric(str(metric)) for metric in rows["metric"]]
    listed = rows.assign(
        title=[metric.title for metric in metrics],
        percent=[metric.percent for metric in metrics],
        lower=[metric.lower_is_better for metric in metrics],
        shown=[shown_value(row) for row in rows.itertuples()],
        interval=[shown_interval(row) for row in rows.itertuples()],
        runs=[shown_runs(row) for row in rows.itertuples()],
        difference=[
            shown_number(metric.word, visible)
            for metric, visible in zip(metrics, rows["visible"], strict=True)
        ],
    )
    columns = [*words, "fraction", "value", "low", "high", "visible", "n", "shown", "interval"]
    columns += ["main", "control", "percent", "lower"]
    packed: list[list[Any]] = []
    known: dict[str, list[str]] = {}
    for name in columns:
        values = listed[name].to_list()
        if name in words:
            codes, found = pd.factorize(pd.Series(values, dtype=object))
            known[name] = list(map(str, found))
            values = codes.tolist()
        packed.append([None if isinstance(v, float) and np.isnan(v) else v for v in values])
    by_row = [list(row) for row in zip(*packed, strict=True)]
    return {"columns": columns, "words": known, "rows": by_row}, [
        _shown_pair(t, rows) for t in tests
    ]


def _shown_pair(pair: Pair, rows: pd.DataFrame) -> list[Any]:
    metric = str(rows["metric"].iloc[pair.first])
    low, high = (shown_number(metric, value, "+") for value in (pair.low, pair.high))
    p, corrected = (_p(value) for value in (pair.p, pair.p_holm))
    difference = shown_number(metric, pair.difference, "+")
    return [pair.first, pair.second, difference, f"{low} to {high}", p, corrected, pair.kind]


def _p(value: float) -> str:
    return "not told" if np.isnan(value) else f"{value:.3f}"


def shown_value(row: Any) -> str:
    """Return the text of a row's value: percent with one decimal, or three decimals."""
    if np.isnan(row.value):
        return "n/a"
    spread = "" if np.isnan(row.std) else f" ± {shown_number(row.metric, row.std)}"
    return f"{shown_number(row.metric, row.value)}{spread}"


def shown_interval(row: Any) -> str:
    """Return the text of a row's interval."""
    if np.isnan(row.low):
        return ""
    return f"{shown_number(row.metric, row.low)} to {shown_number(row.metric, row.high)}"


def shown_runs(row: Any) -> str:
    """Return seeds and draws in words."""
    return f"{count(int(row.seeds), 'seed')}, {count(int(row.draws), 'draw')}"
