"""Text at the edge of a format: what was a word stays a word in CSV, Markdown and LaTeX.

HTML is escaped by its templates, the terminal by `sista.errors.printable`.
"""

from collections.abc import Iterable

import pandas as pd

from sista.errors import printable

# What spreadsheets take for the start of a formula, full width too.
_FORMULA = ("=", "+", "-", "@", "|", "%", "\t", "\r", "＝", "＋", "－", "＠")
_MARKDOWN = {character: f"\\{character}" for character in "\\`*[]|~"}
_MARKDOWN |= {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "–": "--",
    "→": r"$\to$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "<": r"$<$",
    ">": r"$>$",
}


def csv_text(text: str) -> str:
    """Return text for a cell: no formula, one line. Numbers need it not: they may be negative."""
    line = _line(text)
    return f"'{line}" if text.lstrip(" \n").startswith(_FORMULA) else line


def csv_row(values: Iterable[object]) -> list[object]:
    """Return the values of a line, its texts safe in a CSV file."""
    return [csv_text(value) if isinstance(value, str) else value for value in values]


def csv_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts and headings are safe in a CSV file."""
    safe = frame.map(lambda value: csv_text(value) if isinstance(value, str) else value)
    return safe.rename(columns=csv_text)


def markdown_text(text: str) -> str:
    """Return text with all characters that Markdown and HTML treat specially made literal.

    The underscore stays: inside of words it has no meaning.
    """
    return "".join(_MARKDOWN.get(character, character) for character in _line(text))


def markdown_code(word: str) -> str:
    """Return a word in the type of code, for a cell of a table."""
    line = _line(word)
    # Inside of code only the backtick ends it, but a bar ends the cell.
    return markdown_text(word) if "`" in line else f"`{line.replace('|', chr(92) + '|')}`"


def latex_text(text: str) -> str:
    """Return text with all characters that LaTeX treats specially made literal."""
    return "".join(_LATEX.get(character, character) for character in _line(text))


def _line(text: str) -> str:
    """Return text as one line without control characters."""
    return printable(" ".join(text.split("\n")).replace("\t", " "))
