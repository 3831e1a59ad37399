"""Damaged tables of a download: structure of the CSV, then values of each column."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

from tests.hostile.kinds_files import Damage

Rows = list[list[str]]


def read(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def write(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def _raw(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: write(path, change(read(path)))


def rows(change: Callable[[Rows], Rows]) -> Damage:
    """Return a damage of the parsed rows, the header first."""

    def damage(path: Path) -> None:
        found = list(csv.reader(io.StringIO(read(path).decode())))
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows(change(found))
        write(path, stream.getvalue().encode("utf-8", "surrogateescape"))

    return damage


def _quote(data: bytes) -> bytes:
    """Open a quote in the third row that is never closed."""
    lines = data.split(b"\n")
    lines[2] = b'"' + lines[2]
    return b"\n".join(lines)


def _cut_row(data: bytes) -> bytes:
    """Cut the last row in its middle, before its last comma."""
    lines = data.rstrip(b"\n").split(b"\n")
    last = lines[-1]
    return b"\n".join([*lines[:-1], last[: max(1, len(last) // 3)]])


def _wide(found: Rows) -> Rows:
    return [*found[:2], [found[2][0], *["9" * 1_000_000] * (len(found[2]) - 1)], *found[3:]]


STRUCTURE: dict[str, Damage] = {
    "header only": rows(lambda found: found[:1]),
    "no header": rows(lambda found: found[1:]),
    "header twice": rows(lambda found: [found[0], *found]),
    "a column missing": rows(lambda found: [row[1:] for row in found]),
    "a column renamed": rows(lambda found: [["Renamed", *found[0][1:]], *found[1:]]),
    "a column twice": rows(lambda found: [[row[0], *row] for row in found]),
    "a cell too many": rows(lambda found: [*found[:2], [*found[2], "more"], *found[3:]]),
    "last row cut": _raw(_cut_row),
    "a quote never closed": _raw(_quote),
    "semicolons": _raw(lambda data: data.replace(b",", b";")),
    "tabs": _raw(lambda data: data.replace(b",", b"\t")),
    "a row twice": rows(lambda found: [*found, found[-1]]),
    "cells of 1 MB": rows(_wide),
    "a file twice": _raw(lambda data: data + data),
    "UTF-16": _raw(lambda data: data.decode().encode("utf-16")),
    "Latin-1": _raw(lambda data: data + b"\xe4\xff,1\n"),
    "NUL bytes": _raw(lambda data: data[:-9] + b"\0" + data[-9:]),
}
# Which of them a table without a header, or one whose rows may repeat, takes as valid.
VALID = {
    "a row twice": "a film may have several rows",
}
# Put into the first cell of each column of the second row.
VALUES: dict[str, str] = {
    "empty": "",
    "NaN": "nan",
    "infinity": "inf",
    "1e999": "1e999",
    "negative": "-5",
    "a number of 400 digits": "9" * 400,
    "a word": "x",
    "a path out": "../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "a formula": "=1+1",
    "a tag": "<script>alert(1)</script>",
    "a shell word": "$(touch CANARY)",
    "control characters": "\x1b[2J\x07",
    "a name of 300 letters": "n" * 300,
    "full-width digits": "１２",
    "a surrogate": "\udce4",
}


def value(column: int, word: str) -> Damage:
    """Return a damage that puts a value into a column of the second row of data."""

    def change(found: Rows) -> Rows:
        found[2][column] = word
        return found

    return rows(change)
