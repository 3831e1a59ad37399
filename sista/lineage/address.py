"""The address of a number in a table: ROW `variant/encoder` and COLUMN `dataset/fraction`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sista import registry
from sista.errors import UserError
from sista.runs.ancestry import resolve
from sista.runs.record import read_record
from sista.scoring.main_rows import main_rows, overall, read_scores
from sista.tasks._base import find_metric


@dataclass(frozen=True)
class Address:
    """Rows of a scores table behind one number.

    Attributes:
        scores: the scores table.
        rows: its rows, one for each draw and seed.
        meta: its metadata.
    """

    scores: Path
    rows: pd.DataFrame
    meta: dict[str, Any]

    @property
    def text(self) -> str:
        """What the number is, and its value as the table prints it."""
        first = self.rows.iloc[0]
        values = self.rows["value"].dropna()
        scale, digits = (100, 1) if find_metric(str(first["metric"])).percent else (1, 3)
        shown = "n/a" if values.empty else f"{scale * values.mean():.{digits}f}"
        spread = f" ± {scale * values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
        cell = f"{first['variant']}/{first['encoder']}, {first['dataset']}/{first['fraction']}"
        return f"{cell}, {first['metric']}, {first['head']}: {shown}{spread}"


def find(table: Path, row: str, column: str, head: str | None = None) -> Address:
    """Return the scores behind a number.

    Args:
        table: a table of a report (TASK.csv, .md, .tex, .html) or a scores table.
        row: VARIANT/ENCODER, e.g. `sista/resnet_tiny`.
        column: DATASET/FRACTION, e.g. `chexpert@phantom/10`; with another metric than the table's
            main one DATASET/FRACTION/METRIC.
        head: where a data set has several heads.

    Raises:
        UserError: there is no such number; names those that there are.
    """
    scores = scores_of(table)
    frame, meta = read_scores(scores)
    variant, encoder = _split(row, 2, "VARIANT/ENCODER, e.g. sista/resnet_tiny")
    dataset, fraction, *metric = _split(column, 3, "DATASET/FRACTION, e.g. chexpert@phantom/10")
    rows = overall(frame) if metric else main_rows(frame, meta["main_metrics"])
    # The tables of a report are named by their task; a scores table holds all of them.
    if table.stem in registry.names("tasks"):
        rows = rows[rows["task"] == table.stem]
    rows = _only(rows, "variant", variant, scores)
    rows = _only(rows, "encoder", encoder, scores)
    rows = _only(rows, "dataset", dataset, scores)
    rows = _only(rows, "fraction", fraction, scores)
    for name, value in (("metric", metric[0] if metric else None), ("head", head)):
        rows = rows if value is None else _only(rows, name, value, scores)
    for name in ("task", "protocol", "head", "metric"):
        if rows[name].nunique() > 1:
            there = ", ".join(sorted(rows[name].unique()))
            raise UserError(
                f"{scores}: {row} {column} has several values of {name} ({there}); name the table "
                "of one task, or --head"
            )
    return Address(scores, rows, meta)


def scores_of(table: Path) -> Path:
    """Return the scores that a table was made from.

    Raises:
        UserError: it is not known.
    """
    if table.suffix == ".parquet":
        return table
    if not table.is_file():
        raise UserError(f"{table}: no such table; name one of a report, or the scores table")
    beside = table.with_name("scores.parquet")
    if beside.is_file():
        return beside
    record = table.with_name("run.json")
    for name in read_record(record).inputs:
        if name.endswith(".parquet"):
            return resolve(record, name)
    raise UserError(f"{record}: names no scores; run `sista report` again")


def _split(text: str, most: int, form: str) -> list[str]:
    parts = text.split("/")
    if not 2 <= len(parts) <= most or not all(parts):
        raise UserError(f"{text}: must be {form}")
    return parts


def _only(rows: pd.DataFrame, name: str, value: str, scores: Path) -> pd.DataFrame:
    chosen = rows[rows[name].astype(str) == value]
    if chosen.empty:
        there = ", ".join(dict.fromkeys(map(str, rows[name])))
        raise UserError(f"{scores}: no {name} {value!r} there; valid: {there}")
    return chosen
