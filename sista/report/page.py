"""What the one-page report says: texts and rows for the template, pictures as data URIs."""

import base64
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sista.report.cells import TaskTable, share_of_labels, task_table
from sista.report.runs import RunRow
from sista.scoring.main_rows import overall
from sista.tasks._base import find_metric, find_task

_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
TEST_COLUMNS = (
    "Data set",
    "Encoder",
    "Labels",
    "Variant − baseline",
    "Difference",
    "95 % interval",
    "p",
    "p (Holm)",
)


@dataclass(frozen=True)
class Picture:
    """An image inside the page: what it says in words, its caption, its data."""

    told: str
    caption: str
    uri: str


@dataclass
class TaskSection:
    """The section of one task."""

    word: str
    table: TaskTable
    title: str = field(init=False)
    figures: list[Picture] = field(default_factory=list)
    sheets: list[Picture] = field(default_factory=list)
    tests: list[tuple[str, ...]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    test_columns: tuple[str, ...] = TEST_COLUMNS

    def __post_init__(self) -> None:
        """Ask the task for its title."""
        self.title = find_task(self.word).title


def picture(path: Path, told: str, caption: str) -> Picture:
    """Return an SVG or PNG file as a picture that needs no other file."""
    text = base64.b64encode(path.read_bytes()).decode()
    return Picture(told, caption, f"data:{_TYPES[path.suffix]};base64,{text}")


def test_rows(comparisons: Iterable[Mapping[Any, Any]]) -> list[tuple[str, ...]]:
    """Return the paired tests as text, in percentage points."""
    return [
        (
            str(row["dataset"]),
            str(row["encoder"]),
            share_of_labels(int(row["fraction"])),
            f"{row['variant']} − {baseline_title(str(row['baseline']))}"
            + " †" * bool(row.get("off_plateau")),
            f"{100 * row['difference']:+.1f}",
            f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}",
            _p(row["p"]),
            _p(row["p_holm"]),
        )
        for row in comparisons
    ]


def _p(value: float) -> str:
    """Return a p value as text; one seed ranks nothing, so it has none."""
    return "one seed" if pd.isna(value) else f"{value:.3f}"


def baseline_title(baseline: str) -> str:
    """Return what a test compares with: a variant's word, or the title of a control."""
    metric = find_metric(baseline)
    return metric.title if metric.control else baseline


def other_tables(
    scores: pd.DataFrame, task: str, main: Iterable[str], controls: Collection[str] = ()
) -> dict[str, TaskTable]:
    """Return the tables of the metrics that are not the main one, by metric."""
    rows = overall(scores)
    rows = rows[rows["task"] == task]
    shown = set(main)
    return {
        metric: task_table(rows[rows["metric"] == metric], task, controls)
        for metric in dict.fromkeys(map(str, rows["metric"]))
        if metric not in shown
    }


def other_title(metric: str) -> str:
    """Return the heading over the table of a metric."""
    found = find_metric(metric)
    return found.title + (" (lower is better)" if found.lower_is_better else "")


def variant_rows(
    scores: pd.DataFrame, settings: Mapping[str, tuple[str, Mapping[str, Any]]]
) -> list[tuple[str, str, str, str]]:
    """Return word, method, changed settings and settings hash of every variant."""
    listed = []
    for variant, rows in scores.groupby("variant", sort=False):
        method, changed = settings.get(str(variant), (str(rows["method"].iloc[0]), {}))
        text = ", ".join(f"{k} = {json.dumps(v)}" for k, v in changed.items()) or "none"
        listed.append((str(variant), method, text, _unique(rows["settings_hash"])))
    return listed


def fact_rows(scores: pd.DataFrame, bootstrap: int) -> list[tuple[str, str]]:
    """Return what the numbers were made with."""
    # A row is one metric: the time of its head stands in each row of that head.
    once = scores.drop_duplicates(["predictions", "fraction", "draw"])
    peak = scores["peak_mb"].max()
    return [
        ("Code version", _unique(scores["code_version"])),
        ("Lock of the environment", _unique(scores["lock_hash"])),
        ("Device", _unique(scores["device"])),
        ("Pre-training corpus", _unique(scores["corpus"])),
        ("Budget", _unique(scores["budget"])),
        ("Bootstrap samples of patients", str(bootstrap)),
        ("Adaptation, all runs", duration(float(once["wall_s"].sum()))),
        ("Peak memory of a run", "unknown" if pd.isna(peak) else f"{peak:.0f} MB"),
    ]


def host_rows(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the machines of the runs; scores of an older version name none."""
    names = {
        "cpu": "CPU",
        "cores": "cores",
        "system": "system",
        "python": "Python",
        "torch": "torch",
    }
    hosts = [
        ", ".join(f"{title} {host[name]}" for name, title in names.items() if name in host)
        for host in meta.get("hosts") or []
    ]
    return [("Machine", host) for host in dict.fromkeys(hosts)]


def date_rows(runs: Iterable[RunRow]) -> list[tuple[str, str]]:
    """Return when the runs were made, by their records."""
    days = sorted({day for run in runs if (day := run.facts["Date"])})
    return (
        [("Runs", days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}")] if days else []
    )


def duration(seconds: float) -> str:
    """Return seconds as text for people."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def dataset_rows(scores: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return release, protocol, split and test size of each data set, by split."""
    rows = overall(scores)
    listed: list[tuple[str, ...]] = []
    for words, part in rows.groupby(
        ["dataset", "protocol", "split_hash"], sort=False, dropna=False
    ):
        dataset, protocol, split = map(str, words)  # type: ignore[arg-type]
        release = _unique(part["release"])
        listed.append((dataset, release, protocol, split, str(int(part["n"].max()))))
    return listed


def _unique(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
