"""A table of one task for a paper: a bare tabular, its intervals, and a preview that compiles."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from sista.report.captions import BOLD
from sista.report.cells import Cell, TaskTable
from sista.report.escaping import latex_text
from sista.report.published import DASH, Printed
from sista.report.told import BEST, SECOND

# A paper claims more than a page: only what a test tells is marked.
TOLD = (
    "bold: the best of a block where it is told from every other row; underlined: the second where "
    "it is told from all below, by paired tests (Holm-corrected p below 0.05) or, of two rows that "
    "no test compared, by the interval of their difference; controls aside"
)
INTERVALS = "mean with the mean of the 95 % bootstrap intervals over test patients"
_NEEDS = r"% Needs \usepackage{booktabs}. Caption and notes: see the preview beside this file."
_MARKS = {BEST: r"\textbf{%s}", SECOND: r"\underline{%s}"}


def to_latex(table: TaskTable, printed: Iterable[Printed] = ()) -> str:
    """Return the bare tabular in booktabs style, to be taken into a paper by `input`."""

    def shown(cell: Cell) -> str:
        text = latex_text(cell.text)
        text = _MARKS[cell.told].replace("%s", text) if cell.told else text
        return rf"{text}\textsuperscript{{{table.mark(cell)}}}" if cell.note else text

    return _tabular(table, shown, printed)


def to_latex_intervals(table: TaskTable) -> str:
    """Return the tabular of the supplement: each mean with its interval."""

    def shown(cell: Cell) -> str:
        if np.isnan(cell.mean) or np.isnan(cell.low):
            return latex_text(cell.text)
        return f"{cell.shown(cell.mean)} [{cell.shown(cell.low)}, {cell.shown(cell.high)}]"

    return _tabular(table, shown)


def _tabular(
    table: TaskTable, shown: Callable[[Cell], str], printed: Iterable[Printed] = ()
) -> str:
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
        lines += _heading(block.title, width)
        for name, cells in block.rows.items():
            values = " & ".join(shown(cells[column]) for column in table.columns)
            lines.append(rf"\texttt{{{latex_text(name)}}} & {values} \\")
    for part in printed:
        lines += _heading(part.title, width)
        for name, texts in part.rows.items():
            values = " & ".join(latex_text(texts.get(column, DASH)) for column in table.columns)
            lines.append(rf"{latex_text(name)} & {values} \\")
    ends = [r"\bottomrule", r"\end{tabular}%", ""]
    return "\n".join([_NEEDS, rf"\begin{{tabular}}{{l{'r' * width}}}", r"\toprule", *lines, *ends])


def _heading(title: str, width: int) -> list[str]:
    return [r"\midrule", rf"\multicolumn{{{width + 1}}}{{l}}{{\emph{{{latex_text(title)}}}}} \\"]


def to_latex_preview(table: TaskTable, name: str) -> str:
    """Return a document of two columns that shows how a paper takes the tables in; it compiles.

    Args:
        table: the table.
        name: of its files, without a suffix.
    """
    notes = [
        rf"\textsuperscript{{{table.mark_of(note)}}} {latex_text(note)}."
        for note in table.footnotes
    ]
    caption = latex_text(table.caption.replace(BOLD, TOLD))
    supplement = latex_text(f"{table.title} of the table above: {INTERVALS}.")
    return "\n".join(
        [
            r"\documentclass[twocolumn]{article}",
            r"\usepackage[a4paper,margin=18mm]{geometry}",
            r"\usepackage{booktabs,graphicx,url}",
            r"\begin{document}",
            *_float(name, caption, notes),
            *_float(f"{name}_intervals", supplement, ()),
            r"\nocite{*}",
            r"\bibliographystyle{plain}",
            r"\bibliography{references}",
            r"\end{document}",
            "",
        ]
    )


def _float(name: str, caption: str, notes: Sequence[str]) -> list[str]:
    return [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{name}}}",
        r"\smallskip",
        # Shrinks what is too wide and leaves the rest.
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\input{{{name}.tex}}}}",
        *([r"\par\smallskip\footnotesize\raggedright " + r" \\ ".join(notes)] if notes else []),
        r"\end{table*}",
    ]
