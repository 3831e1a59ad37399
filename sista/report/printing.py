"""The main tables on a terminal."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sista.errors import UserError, printable, say
from sista.report.agreement import agreement
from sista.report.cells import TaskTable
from sista.report.main_tables import main_tables
from sista.scoring.main_rows import read_scores


def show(scores: Path, *, released: Path | None = None) -> None:
    """Print the main tables of a grid and, last, where its page is.

    Args:
        scores: its scores, e.g. results/score/phantom.parquet.
        released: scores of a release, e.g. results/released/phantom/scores.parquet: also say
            whether the values made here are those; of some grids nothing was released.

    Raises:
        UserError: a file is no table of scores.
    """
    for file in filter(None, (scores, released)):
        if file.suffix != ".parquet":
            raise UserError(
                f"{file}: no table of scores; name the Parquet file of a grid, such as "
                "results/score/GRID.parquet (tables in results/report are text: open them as such)"
            )
    frame, meta = read_scores(scores)
    # Before anything is printed: the file may be none.
    there = released is not None and released.exists()
    theirs = read_scores(released) if released is not None and there else None
    page = scores.parent.parent / "report" / scores.stem / "index.html"
    # Released scores have no page: it would show paths of another machine.
    print_tables(main_tables(frame, meta).values(), page if page.is_file() else None)
    if theirs is not None:
        say(f"Beside {released}: {agreement(frame, meta, *theirs)}.")
    elif released is not None:
        say(f"Nothing was released to compare with: {released} is not there.")


def print_tables(shown: Iterable[TaskTable], page: Path | None = None) -> None:
    """Print the main tables and, last, where the page is."""
    console = Console(highlight=False)
    # A file has no width; 80 columns would break the rows.
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    for table in shown:
        console.print(_grid(table))
        for note in table.footnotes:
            console.print(printable(f"  {table.mark_of(note)}  {note}"), style="dim", markup=False)
        console.print()
    if page is not None:
        console.print(printable(f"HTML report: {page}"), soft_wrap=True, markup=False)


def _grid(table: TaskTable) -> Table:
    grid = Table(title=Text(printable(table.caption)), title_justify="left", title_style="")
    # Long words go on in the next line: two heads that are cut may read the same.
    grid.add_column("Method", overflow="fold")
    for column in table.columns:
        head = Text(printable(f"{column.group} {column.share}"))
        grid.add_column(head, justify="right", overflow="fold")
    for block in table.blocks:
        grid.add_section()
        grid.add_row(Text(printable(block.title), style="italic"))
        for name, cells in block.rows.items():
            texts = [
                Text(
                    cells[c].text + (f" ({table.mark(cells[c])})" if cells[c].note else ""),
                    style="bold" if cells[c].best else "",
                )
                for c in table.columns
            ]
            grid.add_row(Text(printable(name)), *texts)
    return grid
