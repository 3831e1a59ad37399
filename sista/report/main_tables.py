"""The main tables of a grid; captions name the smallest difference that would mean something."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sista.metrics.power import Components, pooled, smallest_visible
from sista.report.cells import Block, Column, TaskTable, task_table
from sista.scoring.main_rows import control_rows, shown_rows
from sista.tasks._base import find_metric

# Of benchmarks/power, from the project's root: for scores whose own design cannot tell.
STORED = Path("results/released/power/components.csv")
VARIANCES = [f"{name}_var" for name in Components._fields]
HERE, STUDY = "variances from these scores", "variances from the power study"
LEVEL = 0.05
UNKNOWN = (
    "Which differences would mean something is not known{}: these scores do not tell how seeds "
    "and draws vary, and no power study of this data has measured it."
)


def main_tables(
    scores: pd.DataFrame, meta: Mapping[str, Any], stored: Path = STORED
) -> dict[str, TaskTable]:
    """Return the main table of every task.

    Args:
        scores: scores table.
        meta: its metadata.
        stored: variance components by dataset, task, head, metric, encoder and fraction.
    """
    rows = shown_rows(scores, meta["main_metrics"])
    controls = control_rows(scores, meta)
    tests = pd.DataFrame(meta.get("comparisons", []))
    study = power_study(stored)
    made = {}
    for task in dict.fromkeys(map(str, rows["task"])):
        table = task_table(rows, task, controls)
        table.caption += f" {visible(table, tests, study)}"
        made[task] = table
    return made


def power_study(stored: Path = STORED) -> pd.DataFrame:
    """Return the stored variance components; empty where there are none."""
    return pd.read_csv(stored) if stored.is_file() else pd.DataFrame()


def visible(table: TaskTable, tests: pd.DataFrame, study: pd.DataFrame) -> str:
    """Return in words which differences of a table are not told from chance.

    Args:
        table: the table.
        tests: comparisons of the scores; empty = none.
        study: stored variance components; empty = none.
    """
    groups: dict[str, list[str]] = {}
    sources: dict[str, None] = {}
    unknown: dict[str, None] = {}
    tested: set[int] = set()
    for column in table.columns:
        if find_metric(column.metric).control:
            continue
        # A head may be of some encoders only.
        there = [b for b in table.blocks if any(row[column].runs for row in b.rows.values())]
        for block in there:
            # Seeds move some encoders more than others, so each has a number of its own.
            where = column.group + (f", {block.encoder}" if len(table.blocks) > 1 else "")
            together = family(_own(table, column, tests, block.encoder, every_share=True))
            of = smallest_difference(table, column, tests, study, encoder=block.encoder)
            if of is None:
                unknown[where] = None
                continue
            shown = _shown(column, of[0])
            if together > 1:
                level = LEVEL / together
                hardest = smallest_difference(
                    table, column, tests, study, encoder=block.encoder, level=level
                )
                shown += f" [{_shown(column, hardest[0])}]" if hardest else ""
                tested.add(together)
            groups.setdefault(where, []).append(f"{shown} ({column.share})")
            sources[of[1]] = None
    parts = []
    if groups:
        how = (
            "are not told from chance with this design (one comparison chosen beforehand"
            f"{_brackets(tested)}; some 80 % power; {' or '.join(sources)})"
        )
        listed = {group: _and(values) for group, values in groups.items()}
        first, *others = listed.values()
        each = "; ".join(f"{group}: {values}" for group, values in listed.items())
        parts.append(
            f"Differences below these points {how}: {each}."
            if others
            else f"Differences below {first} points {how}."
        )
    if unknown:
        where = f" for {', '.join(unknown)}" if groups else ""
        parts.append(UNKNOWN.format(where))
    return " ".join(parts)


def _shown(column: Column, value: float) -> str:
    return f"{100 * value:.1f}" if find_metric(column.metric).percent else f"{value:.3f}"


def _brackets(tested: Collection[int]) -> str:
    """Return what the numbers in brackets are."""
    if not tested:
        return ""
    least, most = min(tested), max(tested)
    number = f"{most}" if least == most else f"{least} to {most}"
    return f", in brackets the hardest of the {number} that Holm's correction takes together"


def family(tests: pd.DataFrame) -> int:
    """Return how many comparisons Holm's correction takes together, of the largest family."""
    named = tests.dropna(subset=["p"]) if "p" in tests else tests.iloc[:0]
    return int(named.groupby(["baseline", "head"]).size().max()) if len(named) else 0


def _and(values: Sequence[str]) -> str:
    *most, last = values
    return f"{', '.join(most)} and {last}" if most else last


def smallest_difference(
    table: TaskTable,
    column: Column,
    tests: pd.DataFrame,
    study: pd.DataFrame | None = None,
    *,
    encoder: str = "",
    level: float = LEVEL,
) -> tuple[float, str] | None:
    """Return the smallest visible difference of a column and where its variances come from.

    Pooled over heads and pairs of methods; None where nothing tells it.

    Args:
        table: a main table.
        column: one of its columns.
        tests: comparisons of the scores; empty = none.
        study: stored variance components; empty = none; None = those of `STORED`.
        encoder: of the rows; empty: pooled over encoders.
        level: of the two-sided test.
    """
    if study is None:
        study = power_study()
    blocks = [block for block in table.blocks if encoder in ("", block.encoder)]
    cells = [row[column] for block in blocks for row in block.rows.values()]
    counts = [(cell.seeds, cell.runs // cell.seeds) for cell in cells if cell.runs]
    if not counts:
        return None
    seeds, draws = (max(count[k] for count in counts) for k in (0, 1))
    here = _own(table, column, tests, encoder)
    for source, rows in ((HERE, here), (STUDY, _like(blocks, column, study, table.task))):
        found = rows.reindex(columns=VARIANCES).to_numpy(float).tolist()
        parts = pooled(Components(*row) for row in found)
        if parts is not None:
            return smallest_visible(seeds, draws, parts, level=level), source
    return None


def _own(
    table: TaskTable, column: Column, tests: pd.DataFrame, encoder: str, every_share: bool = False
) -> pd.DataFrame:
    """Return the tests of a column against the baselines, or of all label fractions beside it."""
    # Scores of an older version have no variances.
    if not {*VARIANCES, "baseline"} <= set(tests.columns):
        return pd.DataFrame(columns=VARIANCES)
    own = tests[(tests["task"] == table.task) & (tests["protocol"] == column.protocol)]
    own = own[(own["dataset"] == column.dataset) & (own["metric"] == column.metric)]
    own = own if every_share else own[own["fraction"] == column.fraction]
    own = own[own["head"] == column.head] if column.head else own
    own = own[own["encoder"] == encoder] if encoder else own
    return own[[not find_metric(str(baseline)).control for baseline in own["baseline"]]]


def _like(blocks: Sequence[Block], column: Column, study: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the stored variances of a column's heads, of its own encoders where there are."""
    if study.empty:
        return study
    rows = study[(study["task"] == task) & (study["metric"] == column.metric)]
    # Patients are part of the variance, and they are of a data set.
    rows = rows[(rows["dataset"] == column.dataset) & (rows["fraction"] == column.fraction)]
    # A tuned encoder varies otherwise than a frozen one does.
    heads = (column.head,) if column.head else {h for b in blocks for h in b.heads}
    rows = rows[rows["head"].isin(heads)]
    wanted: dict[str, Collection[str]] = {"encoder": {b.encoder for b in blocks}}
    # The study also has copies of one method, which differ in less than two methods do.
    wanted |= {"kind": {"methods"}} if "kind" in rows else {}
    for name, words in wanted.items():
        same = rows[rows[name].isin(words)]
        rows = same if len(same) else rows
    return rows[VARIANCES]
