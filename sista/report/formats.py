"""A table of one task as CSV, Markdown, LaTeX and HTML."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from sista.report.cells import NOT_AVAILABLE, Cell, TaskTable
from sista.report.escaping import csv_text, latex_text, markdown_code, markdown_text
from sista.report.runs import RUN_COLUMNS, RunRow
from sista.report.templates import render
from sista.tasks._base import find_task


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
    scaled = f"{100 * value:.1f}" if cell.percent else f"{value:.3f}"
    return "" if np.isnan(value) else scaled


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


def to_latex(table: TaskTable) -> str:
    """Return the bare tabular in booktabs style, to be taken into a paper by `input`."""
    groups = table.groups()
    width = len(table.columns)
    head = " & ".join(rf"\multicolumn{{{n}}}{{c}}{{{latex_text(g)}}}" for g, n in groups)
    # The first column is the method's.
    rules, start = [], 2
    for _, n in groups:
        rules.append(rf"\cmidrule(lr){{{start}-{start + n - 1}}}")
        start += n
    fractions = " & ".join(latex_text(c.share).replace(" ", r"\,") for c in table.columns)
    lines = [rf"& {head} \\", " ".join(rules), rf"Method & {fractions} \\"]
    for block in table.blocks:
        title = latex_text(block.title)
        lines += [r"\midrule", rf"\multicolumn{{{width + 1}}}{{l}}{{\emph{{{title}}}}} \\"]
        for name, cells in block.rows.items():
            values = " & ".join(_latex(table, cells[column]) for column in table.columns)
            lines.append(rf"\texttt{{{latex_text(name)}}} & {values} \\")
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}. Caption and notes: see the preview beside this file.",
            rf"\begin{{tabular}}{{l{'r' * width}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}%",
            "",
        ]
    )


def to_latex_preview(table: TaskTable) -> str:
    """Return a document of two columns that shows how a paper takes the table in; it compiles."""
    word = find_task(table.task).word
    notes = [
        rf"\textsuperscript{{{table.mark_of(note)}}} {latex_text(note)}."
        for note in table.footnotes
    ]
    return "\n".join(
        [
            r"\documentclass[twocolumn]{article}",
            r"\usepackage[a4paper,margin=18mm]{geometry}",
            r"\usepackage{booktabs,graphicx}",
            r"\begin{document}",
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{{latex_text(table.caption)}}}",
            rf"\label{{tab:{word}}}",
            r"\smallskip",
            # Shrinks what is too wide and leaves the rest.
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\input{{{word}.tex}}}}",
            *([r"\par\smallskip\footnotesize\raggedright " + r" \\ ".join(notes)] if notes else []),
            r"\end{table*}",
            r"\end{document}",
            "",
        ]
    )


def _latex(table: TaskTable, cell: Cell) -> str:
    text = latex_text(cell.text)
    text = rf"\textbf{{{text}}}" if cell.best else text
    return rf"{text}\textsuperscript{{{table.mark(cell)}}}" if cell.note else text


def to_html(table: TaskTable, runs: Sequence[RunRow] = ()) -> str:
    """Return a page of its own, without any external resource; each number leads to its run."""
    title = f"{find_task(table.task).title} table"
    rows = {"runs": list(runs), "run_columns": RUN_COLUMNS}
    return render("table.html.j2", title=title, table=table, **rows)
