"""The paired test of two rows, of one grid or of two: what `compare --row --against` prints."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sista import tables
from sista.errors import UserError, printable
from sista.grid.runs import AdaptRun, PretrainRun
from sista.report.alternatives import shown_number
from sista.report.cells import share_of_labels
from sista.scoring.cached import FileScores
from sista.scoring.comparisons import comparisons
from sista.stages.score import score_runs

Scored = tuple[AdaptRun, FileScores]


def paired(a: Path, b: Path, row: str, against: str) -> pd.DataFrame:
    """Return the paired tests of a row of one scores table against a row of another one.

    As in a grid's own comparisons: on the same samples of test patients, for the seeds and draws
    that both have, Holm-corrected within a data set, head and encoder.

    Args:
        a: scores table; its predictions lie in the results that it is part of.
        b: scores table of the other row; may be the same.
        row: variant in `a`.
        against: variant in `b`.

    Returns:
        one line for each encoder, data set, head, metric and fraction, as in `comparisons.csv`.

    Raises:
        UserError: a row is not there, its predictions are not, or nothing can be paired.
    """
    (first, meta), (second, _) = tables.read(a, "scores"), tables.read(b, "scores")
    # The same word in both grids: two names, or each would be its own baseline.
    names = (row, against) if row != against else (f"{row} (first)", f"{row} (second)")
    scored: list[Scored] = []
    for path, frame, variant, name in ((a, first, row, names[0]), (b, second, against, names[1])):
        runs = _runs(path, frame, variant)
        results = path.absolute().parent.parent
        found = score_runs(runs, results=results, bootstrap=int(meta["bootstrap"]))
        scored += [(replace(r, pretrain=replace(r.pretrain, variant=name)), s) for r, s in found]
    tested = pd.DataFrame(comparisons(scored, [names[1]]))
    if tested.empty or tested[tested["baseline"] == names[1]].empty:
        raise UserError(
            f"{row} of {a} and {against} of {b} share no data set, head, encoder, corpus, fraction "
            "and test images, or no seed and draw: nothing can be paired"
        )
    return tested[tested["baseline"] == names[1]].reset_index(drop=True)


def _runs(path: Path, frame: pd.DataFrame, variant: str) -> list[AdaptRun]:
    """Return the runs behind a row of a scores table."""
    own = frame[frame["variant"] == variant]
    if own.empty:
        valid = ", ".join(map(str, dict.fromkeys(frame["variant"])))
        raise UserError(f"{path}: has no row {variant!r}; valid: {valid}")
    runs = []
    for _, rows in own.groupby("predictions", sort=False):
        known = {str(name): value for name, value in rows.iloc[0].items()}
        words = ("budget", "variant", "method", "encoder", "family", "corpus")
        pretrain = PretrainRun(
            **{word: str(known[word]) for word in words}, settings={}, seed=int(known["seed"])
        )
        protocol, dataset, task, head = (
            str(known[name]) for name in ("protocol", "dataset", "task", "head")
        )
        draws, fractions = (
            tuple(sorted({int(v) for v in rows[name]})) for name in ("draw", "fraction")
        )
        runs.append(AdaptRun(protocol, dataset, task, head, pretrain, draws, fractions))
    return runs


def print_tests(tested: pd.DataFrame) -> None:
    """Print the tests as a table, in points of percent where the metric is in percent."""
    table = Table(box=None)
    for name in ("encoder", "data set", "head", "metric", "labels"):
        table.add_column(name, overflow="fold")
    for name in ("difference", "95 % interval", "p", "p (Holm)", "seeds x draws"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in tested.to_dict("records"):
        metric = str(row["metric"])
        low, middle, high = (
            shown_number(metric, row[name], "+") for name in ("low", "difference", "high")
        )
        ps = ["n/a" if pd.isna(row[name]) else f"{row[name]:.3f}" for name in ("p", "p_holm")]
        words = [str(row[name]) for name in ("encoder", "dataset", "head", "metric")]
        cells = [*words, share_of_labels(int(row["fraction"])), middle, f"[{low}, {high}]", *ps]
        cells.append(f"{row['seeds']} x {row['draws']}")
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=160)).print(table)
