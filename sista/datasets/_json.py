"""Reading of the JSON files of a download: every value knows its file and place."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sista.datasets._source import checked
from sista.errors import UserError, check_limit, limit
from sista.files import check_size, reading

AGAIN = "get the file again"
# Characters that are read at once, and that one entry has at most.
CHUNK, LONGEST = 1 << 20, 1 << 26


@dataclass(frozen=True)
class Node:
    """A value of a JSON file, with its place in it, such as `[3].boxes`."""

    file: Path
    place: str
    value: Any

    @property
    def where(self) -> str:
        """File and place for messages."""
        return f"{self.file} {self.place}".rstrip()

    def error(self, problem: str) -> UserError:
        """Return an error that names this place."""
        return UserError(f"{self.where}: {problem}")

    def key(self) -> str | int:
        """Return a whole number or a text by which other entries name this one."""
        if type(self.value) not in (int, str):
            raise self.error(f"is no whole number and no text; {AGAIN}")
        key: str | int = self.value
        return key

    def get(self, key: str) -> "Node | None":
        """Return the value of a key, None where it is absent or null."""
        found = dict(self.items()).get(key)
        return None if found is None or found.value is None else found

    def need(self, key: str) -> "Node":
        """Return the value of a key that must be there."""
        found = self.get(key)
        if found is None:
            raise self.error(f"{key!r} is missing; {AGAIN}")
        return found

    def items(self) -> "list[tuple[str, Node]]":
        """Return the names and values of an object."""
        if not isinstance(self.value, dict):
            raise self.error(f"is no object of names and values; {AGAIN}")
        return [
            (name, Node(self.file, f"{self.place}.{name}", v)) for name, v in self.value.items()
        ]

    def each(self) -> "list[Node]":
        """Return the entries of a list."""
        if not isinstance(self.value, list):
            raise self.error(f"is no list; {AGAIN}")
        return [Node(self.file, f"{self.place}[{n}]", v) for n, v in enumerate(self.value)]

    def text(self) -> str:
        """Return a text, or a whole number as one."""
        value = str(self.value) if type(self.value) is int else self.value
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.error(f"is no text; {AGAIN}")
        return value.strip()

    def number(self) -> float:
        """Return a finite number."""
        kind = type(self.value)
        # JSON has whole numbers that no float holds.
        with suppress(OverflowError):
            if kind in (int, float) and math.isfinite(float(self.value)):
                return float(self.value)
        raise self.error(f"is no finite number; {AGAIN}")

    def numbers(self, count: int) -> list[float]:
        """Return a list of `count` finite numbers."""
        found = [entry.number() for entry in self.each()]
        if len(found) != count:
            raise self.error(f"has {len(found)} numbers, needs {count}; {AGAIN}")
        return found


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    remedy = "complete the download, then run again"
    with reading(checked(file), remedy), file.open(encoding="utf-8-sig") as stream:
        yield stream


def whole(file: Path) -> Node:
    """Return a JSON file.

    Raises:
        UserError: it is not there or no JSON.
    """
    with reading(checked(file), "complete the download, then run again"):
        check_size(file)
        return Node(file, "", json.loads(file.read_text(encoding="utf-8-sig")))


def lines(file: Path) -> Iterator[Node]:
    """Yield the objects of a file that has one on each line.

    Raises:
        UserError: see `whole`.
    """
    with _opened(file) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield Node(file, f"row {number}", json.loads(line))


def entries(file: Path) -> Iterator[Node]:
    """Yield the entries of a list, or the values of an object, one at a time in memory.

    Raises:
        UserError: see `whole`.
    """
    most, number = limit("SISTA_MAX_ROWS"), 0
    with _opened(file) as stream:
        parser = _Parser(stream)
        closing = {"[": "]", "{": "}"}[parser.sign()]
        while parser.sign(peek=True) != closing:
            if number and parser.sign() != ",":
                raise ValueError("no comma between entries")
            place = f"[{number}]"
            if closing == "}":
                place = f".{parser.value()}"
                if parser.sign() != ":":
                    raise ValueError("no colon behind a name")
            yield Node(file, place, parser.value())
            number += 1
            if number > most:
                check_limit("SISTA_MAX_ROWS", number, f"{file}")


def coco(content: Node) -> tuple[list[Node], list[tuple[Node, str, Node]]]:
    """Return the images of a COCO file, and image, category and node of each annotation."""
    names = {n.need("id").key(): n.need("name").text() for n in content.need("categories").each()}
    images = {node.need("id").key(): node for node in content.need("images").each()}

    def known(table: dict[Any, Any], node: Node, key: str) -> Any:
        value = node.need(key).key()
        if value not in table:
            raise node.error(f"{key} names nothing in this file; {AGAIN}")
        return table[value]

    annotations = content.need("annotations").each()
    found = [(known(images, n, "image_id"), known(names, n, "category_id"), n) for n in annotations]
    return list(images.values()), found


class _Parser:
    """Reads JSON a piece at a time: the files of large releases do not fit into memory twice."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.text = ""
        self.at = 0
        self.decoder = json.JSONDecoder()

    def _more(self) -> bool:
        piece = self.stream.read(max(CHUNK, len(self.text) - self.at))
        self.text, self.at = self.text[self.at :] + piece, 0
        return bool(piece)

    def sign(self, *, peek: bool = False) -> str:
        """Return the next character that is no blank."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.text):
                self.at += not peek
                return self.text[self.at - (not peek)]
            if not self._more():
                raise ValueError("the file stops inside a value")

    def value(self) -> Any:
        """Return the next value."""
        self.sign(peek=True)
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except ValueError:
                end = len(self.text)
            # A number may go on behind the piece: what ends a value must be there.
            if self.text[end : end + 1] in tuple(" \t\r\n,:]}"):
                self.at = end
                return value
            if len(self.text) - self.at > LONGEST:
                raise ValueError("no value is as long as this one")
            if not self._more():
                raise ValueError("the file stops inside a value")
