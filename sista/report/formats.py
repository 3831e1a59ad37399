"""A table of one task as CSV, Markdown and HTML; as LaTeX: `sista.report.latex`."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from sista.report.cells import NOT_AVAILABLE, Cell, TaskTable
from sista.report.escaping import csv_text, markdown_code, markdown_text
from sista.report.runs import RunRow
from sista.report.templates import render


def to_csv(table: TaskTable) -> str:
    """Return one line per method: mean and standard deviation in percent, and the notes."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    header = ["encoder", "head", "method"]
    for column in table.columns:
        head = f" {column.head}" if column.head else ""
        name = f"{column.protocol} {column.dataset}{head} {column.metric} {column.fraction}%"
        header += [name, f"{name} std"]
    writer.writerow(map(csv_text, [*header, "notes"]))
    for block in table.blocks:
        for name, cells in block.rows.items():
            line = [csv_text(text) for text in (block.encoder, "+".join(block.heads), name)]
            for column in table.columns:
                cell = cells[column]
                line += [_number(cell, cell.mean) or NOT_AVAILABLE, _number(cell, cell.std)]
            noted = [(column, cells[column].note) for column in table.columns]
            notes = [f"{c.dataset} {c.fraction}%: {note}" for c, note in noted if note]
            writer.writerow([*line, csv_text("; ".join(notes))])
    return stream.getvalue()


def _number(cell: Cell, value: float) -> str:
    return "" if np.isnan(value) else cell.shown(value)


def to_markdown(table: TaskTable) -> str:
    """Return a pipe table with aligned columns, the caption above and the footnotes below."""
    header = ["Method", *(markdown_text(f"{c.group} {c.share}") for c in table.columns)]
    body: list[list[str]] = []
    for block in table.blocks:
        body.append([f"*{markdown_text(block.title)}*", *("" for _ in table.columns)])
        for name, cells in block.rows.items():
            body.append([markdown_code(name), *(_markdown(table, cells[c]) for c in table.columns)])
    widths = [max(len(row[k]) for row in [header, *body]) for k in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        "| " + " | ".join(_pad(text, width, k) for k, (text, width) in enumerate(cells)) + " |"
        for cells in (list(zip(row, widths, strict=True)) for row in [header, rule, *body])
    ]
    notes = [f"- {table.mark_of(note)}: {markdown_text(note)}" for note in table.footnotes]
    return "\n".join(
        [markdown_text(table.caption), "", *lines, "", *notes, *([""] if notes else [])]
    )


def _pad(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column == 0 else text.rjust(width)


def _markdown(table: TaskTable, cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    return f"{text} ({table.mark(cell)})" if cell.note else text


def to_html(table: TaskTable, runs: Sequence[RunRow] = ()) -> str:
    """Return a page of its own, without any external resource; each number leads to its run."""
    title = f"{table.title} table"
    return render("table.html.j2", title=title, table=table, runs=list(runs))
