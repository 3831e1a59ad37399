"""Report: scores → tables, figures, sheets and one self-contained HTML page."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from cyclopts import Parameter

from sista.errors import UserError, printable, warn
from sista.files import atomic
from sista.grid.file import read_grid
from sista.grid.grid import Grid
from sista.grid.runs import AdaptRun
from sista.report.grid_report import Report
from sista.report.main_tables import STORED
from sista.report.printing import print_tables
from sista.report.published import PUBLISHED
from sista.runs.options import Results
from sista.runs.record import Made, recorded
from sista.scoring.main_rows import read_scores

# Not made by this stage: of a run, its record and the log under way; of a released folder the rest.
KEPT = ("run.json", "log.txt", "README.md", "scores.parquet")
# What a report that was killed may have left.
MADE = re.compile(r"figures|\..+|.+\.(bib|csv|html|md|tex|txt)")


@recorded("report")
def report(
    *,
    grid: Path,
    scores: Path,
    out: Path,
    results: Results = Path("results"),
    sheets: Literal["phantom", "all"] = "phantom",
    show: Annotated[bool, Parameter(name="--print")] = False,
) -> Made:
    """Make the tables, figures and the HTML page of a grid.

    Args:
        grid: the grid file.
        scores: its scores, e.g. results/score/phantom.parquet.
        out: folder to write to: index.html, {task}.csv .md .tex .html, comparisons.csv, figures,
            references.bib.
        results: folder of all results; predictions and prepared images are read for the sheets.
        sheets: `phantom` draws films only of made-up data, `all` also real ones. Pages with real
            films must not be passed on.
        show: also print the main tables on the terminal.
    """
    _check_own(out)
    compared = Grid.load(grid)
    frame, meta = read_scores(scores)
    runs = list(compared.adapt_runs())
    _check_runs(frame, runs, scores, grid)
    # The grid as it is now: scores of an older version name no controls.
    meta |= {"controls": compared.controls()}
    grid_report = Report(frame, meta, runs, out, results, sheets)
    if not any(run.facts["Record"] for run in grid_report.listed):
        told = f"report: {results} holds no run of the grid: no films, curves and places of records"
        warn(told)
    grid_report.write_tables()
    text = grid_report.whole_page(compared.title or grid.stem, grid, dict(_settings(compared)))
    with atomic(out / "index.html") as temporary:
        temporary.write_text(text)
    if show:
        print_tables(grid_report.tables.values(), out / "index.html")
    # All that lies there, an older figure too: the record must name the whole page.
    files = [p for p in sorted(out.rglob("*")) if p.is_file() and p.name not in KEPT]
    read = [*read_grid(grid)[1], scores, *(p for p in (STORED, PUBLISHED) if p.is_file())]
    return Made(files, read, {"grid": grid.stem, "sheets": sheets})


def _check_runs(frame: pd.DataFrame, runs: Sequence[AdaptRun], scores: Path, grid: Path) -> None:
    """Refuse scores of another grid, whose words and settings would stand on the page.

    Rows that only one of them has are told: a grid may have grown since.
    """
    hashes = {run.predictions: run.pretrain.settings_hash for run in runs}
    scored = dict(zip(frame["predictions"], frame["settings_hash"], strict=True))
    shared = hashes.keys() & scored.keys()
    other = sorted(path for path in shared if hashes[path] != scored[path])
    if other or not shared:
        first = f"{other[0]} has other settings" if other else "they have no run in common"
        raise UserError(f"{scores}: not of {grid}: {first}; run `sista score` for this grid")
    if lost := len(hashes) - len(shared):
        warn(f"report: {scores} lacks {lost} of {len(hashes)} runs of {grid}")
    if more := len(scored) - len(shared):
        warn(f"report: {scores} has {more} runs that {grid} has not")


def _check_own(out: Path) -> None:
    """Refuse a folder of something else: its files would be named as made here."""
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    foreign = sorted(name for name in names if not MADE.fullmatch(name))
    if foreign and not names & {"run.json", "scores.parquet"}:
        raise UserError(
            f"--out {out}: holds {printable(foreign[0])}, which no report makes; give a folder of "
            "its own, e.g. results/report/NAME"
        )


def _settings(grid: Grid) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    for variant in grid.variants:
        method, settings = grid.settings_of(variant)
        budget = grid.budget_of(variant)
        own = {"budget": budget} if budget != grid.budget else {}
        yield variant, (method, own | settings)
