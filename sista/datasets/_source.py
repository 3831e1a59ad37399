"""Reading of the tables of a download: rows with their place, checked columns, safe paths."""

import csv
import gzip
import io
import math
import os
import re
import unicodedata
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from sista.datasets._inside import inside, stays
from sista.errors import UserError, check_limit, limit, shown
from sista.files import looks_whole, reading

_ROW_NUMBERS = re.compile(r"Unnamed: \d+(_level_\d+)?")
# Ends of rows that are remembered, to judge that of a file without a last line end.
_ENDS = 1000
# Our name of a column: its names in other releases and packings of the same download.
RENAMED = {
    "Lung Opacity": ("Airspace Opacity",),
    "Bbox [x": ("x", "Bbox x"),
    "y": ("Bbox y",),
    "w": ("Bbox w", "width"),
    "h]": ("h", "Bbox h", "height"),
    "OriginalImage[Width": ("OriginalImageWidth",),
    "OriginalImagePixelSpacing[x": ("OriginalImagePixelSpacing_x",),
    "Other diseases": ("Other disease",),
}


class Place(Protocol):
    """Where something was read."""

    def error(self, problem: str) -> UserError:
        """Return an error that names file and place."""


@dataclass(frozen=True)
class Row:
    """One row of a table; the header is row 1."""

    file: Path
    number: int
    values: Mapping[str, str]

    @property
    def where(self) -> str:
        """File and row for messages."""
        return f"{self.file} row {self.number}"

    def error(self, problem: str) -> UserError:
        """Return an error that names this row."""
        return UserError(f"{self.where}: {problem}")

    def text(self, column: str) -> str:
        """Return a text that must not be empty."""
        value = self.values[column]
        if not value:
            raise self.error(f"column {column!r} is empty; every row needs it")
        return value

    def number_in(self, column: str) -> float:
        """Return a finite number."""
        text = self.values[column]
        try:
            # Python reads more than tables hold: 1_000, and digits of other scripts.
            value = float(text if text.isascii() and "_" not in text else "")
        except ValueError as error:
            raise self.error(f"column {column!r} holds no number; get the file again") from error
        if not math.isfinite(value):
            raise self.error(f"column {column!r} holds no finite number; get the file again")
        return value

    def finding(self, column: str) -> float | None:
        """Return 1, 0 or -1, or None for a blank."""
        if not self.values[column]:
            return None
        value = self.number_in(column)
        if value not in (1.0, 0.0, -1.0):
            raise self.error(f"column {column!r} must hold 1, 0, -1 or nothing")
        return value


def rows(
    file: Path,
    needed: Iterable[str],
    known: Collection[str] | None = None,
    optional: Iterable[str] = (),
    prose: Collection[str] = (),
) -> Iterator[Row]:
    """Yield the rows of a CSV file (plain or .gz); cells and header cells are stripped.

    A column is also found under another spelling (capitals, blanks, marks) or under a name that a
    release gave it (`RENAMED`).

    Args:
        file: the table.
        needed: columns it must have.
        known: if given, every other column is an error; nameless columns are always ignored.
        optional: columns that it may have.
        prose: columns whose cells may hold line breaks.

    Raises:
        UserError: missing file, missing or unknown column, no row, a row longer or shorter than the
            header, a file that stops inside a row, or bytes that are no text.
    """
    with reading(file, "complete the download, then run again"):
        try:
            yield from _rows(file, list(needed), known, prose, list(optional))
        # EOFError: a .gz file that stops before its end mark.
        except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{file}: not a readable CSV file; download it again") from error


def _rows(
    file: Path,
    needed: list[str],
    known: Collection[str] | None,
    prose: Collection[str],
    optional: list[str],
) -> Iterator[Row]:
    most, empty, ended, widest = limit("SISTA_MAX_ROWS"), True, True, 0
    seen: set[str] = set()
    words = [name for name in needed if name not in prose]
    with _open(file) as stream:

        def lines() -> Iterator[str]:
            nonlocal ended
            for number, line in enumerate(stream, start=1):
                ended = line.endswith(("\n", "\r"))
                # In a column that nobody reads, too: the table was damaged.
                if "\0" in line:
                    raise UserError(f"{file}: holds a NUL byte in line {number}; download it again")
                yield line

        # Strict: a quote that is never closed would swallow the rows behind it.
        reader = csv.reader(lines(), strict=True)
        first = [name.strip() for name in next(reader, [])]
        # What pandas calls the numbers of rows that it wrote.
        plain = ["" if _ROW_NUMBERS.fullmatch(name) else name for name in first]
        header = _canonical(plain, [*needed, *(known or ()), *optional])
        _check_header(file, header, needed, known)
        # Reversed, so that of two columns with one name the first counts.
        columns = {name: index for index, name in reversed(list(enumerate(header))) if name}
        # Nameless columns at the end stand in headers alone (NIH's table of boxes has three).
        named = max(columns.values(), default=-1) + 1
        for number, cells in enumerate(reader, start=2):
            if number > most:
                check_limit("SISTA_MAX_ROWS", number, f"{file}")
            # Spreadsheets leave lines of empty cells at the end.
            if not any(cell.strip() for cell in cells):
                continue
            if [cell.strip() for cell in cells] == first:
                raise UserError(f"{file} row {number}: the header stands again; correct the file")
            if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
                raise UserError(f"{file} row {number}: more cells than its header; correct it")
            values = {
                name: cells[index].strip() if index < len(cells) else ""
                for name, index in columns.items()
            }
            row = Row(file, number, values)
            empty = False
            _check_cells(row, words)
            last = cells[-1].strip()
            whole = ended or (len(cells) >= widest and looks_whole(last, seen))
            if len(cells) < named or not whole:
                _check_end(row, len(cells), named, ended)
            widest = max(widest, len(cells))
            if len(seen) < _ENDS:
                seen.add(last)
            yield row
    if empty:
        raise UserError(f"{file}: has a header and no rows; download it again")


def _check_cells(row: Row, needed: list[str]) -> None:
    """Refuse what no cell of a table holds: it would end in names, tables and terminals."""
    for name in needed:
        text = row.values[name]
        kinds = {unicodedata.category(c) for c in text} if not text.isprintable() else set()
        if "Cc" in kinds:
            raise row.error(
                f"column {name!r} holds a line break or control character: a quote before it is "
                "not closed, or the file is damaged; download it again"
            )
        # One patient would be two, in training and in test.
        if "Cf" in kinds:
            raise row.error(f"column {name!r} holds a letter that is not seen; correct the row")


def _check_end(row: Row, cells: int, columns: int, ended: bool) -> None:
    """Refuse a row that was cut.

    Raises:
        UserError: it has too few cells, or no line end.
    """
    if cells < columns:
        raise row.error(f"{cells} cells, fewer than the {columns} columns; download the file again")
    if not ended:
        raise row.error(
            "the file stops without a line end, so it may be cut; download it again, or add the "
            "line end where it is whole"
        )


def _canonical(header: list[str], wanted: list[str]) -> list[str]:
    """Return a header with the wanted columns under our names."""
    spelt = [_plain(name) for name in header]
    result = list(header)
    for name in wanted:
        for other in (name, *RENAMED.get(name, ())):
            if name in result or spelt.count(_plain(other)) != 1:
                continue
            place = spelt.index(_plain(other))
            # A column that is wanted under its own name is not taken away from it.
            if result[place] == header[place] and header[place] not in wanted:
                result[place] = name
    return result


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def checked(file: Path) -> Path:
    """Return a table's path; it must be no link out of its folder.

    Raises:
        UserError: it is one.
    """
    if not inside(file.parent, file):
        raise UserError(f"{file}: a link out of the data folder; put the table there")
    return file


def _open(file: Path) -> io.TextIOWrapper:
    checked(file)
    # utf-8-sig: a byte order mark would become part of the first column's name.
    if file.suffix == ".gz":
        return io.TextIOWrapper(gzip.GzipFile(file), encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def given(file: Path) -> bool:
    """Return whether a table that may be absent is there; what is no file is told on reading it."""
    return os.path.lexists(file)


def _check_header(
    file: Path, header: list[str], needed: list[str], known: Collection[str] | None
) -> None:
    lacking = [name for name in needed if name not in header]
    unknown = [n for n in header if known is not None and n and n not in known and n not in needed]
    twice = sorted({name for name in needed if header.count(name) > 1})
    if lacking or unknown or twice:
        parts = [f"column {name!r} is missing" for name in lacking]
        parts += [f"column {shown(name)} is unknown" for name in unknown[:5]]
        parts += [f"column {name!r} stands twice" for name in twice]
        expected = ", ".join(dict.fromkeys([*needed, *(known or [])]))
        raise UserError(
            f"{file} row 1: {'; '.join(parts)}. Expected columns: {expected}. "
            "Use the file as it was downloaded."
        )


def relative(root: Path, path: str, row: Place) -> str:
    """Return a path named by a table, relative to `root` and checked to stay inside it.

    Raises:
        UserError: the path is absolute, climbs out, or leads out through a symbolic link.
    """
    # Tables written on Windows separate folders with a backslash.
    named = path.replace("\\", "/")
    parts = named.split("/")
    if named.startswith("/") or ".." in parts or "\0" in named:
        raise row.error("the path leaves the data folder; correct the row")
    if "" in parts or "." in parts:
        named = PurePosixPath(named).as_posix()
    if not stays(str(root), f"{root}/{named}"):
        raise row.error(
            f"{named}: a symbolic link out of the data folder; put the file itself there"
        )
    return named


def once(seen: set[str], key: str, row: Place) -> None:
    """Remember `key`; a second time is an error that names the row."""
    if key in seen:
        raise row.error("this image was named by an earlier row; each stands once, remove one")
    seen.add(key)


def first_existing(root: Path, names: Iterable[str]) -> Path | None:
    """Return the first of `names` that is a file below `root`, or None."""
    return next((root / name for name in names if given(root / name)), None)
