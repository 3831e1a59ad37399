"""Names of images in list files of anybody, matched with the images of a manifest."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from sista.errors import UserError
from sista.files import read_lines

_ENDING = re.compile(r"\.(?:png|jpe?g|dcm|dicom|tiff?|bmp|npy)(?:\.gz)?$", re.IGNORECASE)
# Behind an ending: what a web address or a list of labels adds.
_BEHIND = re.compile(
    "(" + _ENDING.pattern[:-1] + ")" + r"(?:\?[^\s,;|]*|:[-+.\d]{1,5}(?=$|[\s,;|]))", re.IGNORECASE
)
# A tuple or a list of a programming language.
_BRACKETS = re.compile(r"\s*[\[({]\s*([\"'].*)[\])}]\s*,?\s*")
# A label, an age or a row number: no name, even where an image is called so.
_LABEL = re.compile(r"[-+.\d]{0,5}")
# Of the columns that tables of images have.
HEADER = re.compile(r"image|path|file|name|label|finding|patient|study|dicom|subject|split|\bid\b")


class NameIndex:
    """The images of a manifest by every name that tells them apart."""

    def __init__(self, frame: pd.DataFrame) -> None:
        """Take the columns image_id and path of a manifest."""
        self._images = [
            (image, PurePosixPath(path).parts)
            for image, path in zip(frame.image_id, frame.path, strict=True)
        ]
        self._whole: dict[str, str | None] = {}
        for image, parts in self._images:
            for name in (image, "/".join(parts)):
                _add(self._whole, _stem(name), image)
        # With its ending a name is the data set's own; `a.png` and `a.jpg` may be two images.
        self._whole |= {"/".join(parts): image for image, parts in self._images}
        self._whole |= {image: image for image, _ in self._images}
        # Ends of paths by their number of parts, made when a list first asks for them.
        self._ends: dict[int, dict[str, str | None]] = {}

    def find(self, line: str) -> str | None:
        """Return the image that a line of a list file names, None for none or several.

        A line holds the name and maybe labels and other columns, parted by commas, tabs,
        semicolons, bars or blanks. A path is matched from its end: either it ends with an image's
        id or path, or the image's path ends with it. A path is never matched by its file name
        alone, unless that is the image's id. Endings such as .png may differ.
        """
        lines = dict.fromkeys((line, _plain(line)))
        names = [name for text in lines for name in _names(text)]
        # A number beside a file or a path is a label or a row, even where an image is called so.
        if any(map(_ENDING.search, _words(line))):
            names = [name for name in names if _ENDING.search(name.rstrip(",;"))]
        elif any("/" in word for word in _words(line)):
            names = [name for name in names if "/" in name.replace("\\", "/")]
        return next((image for name in names if (image := self._match(name))), None)

    def _match(self, name: str) -> str | None:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            for key in (end, _stem(end)):
                if (image := self._whole.get(key)) is not None:
                    return image
        ends, whole = self._ends_of(len(parts)), "/".join(parts)
        return ends.get(whole) or ends.get(_stem(whole))

    def _ends_of(self, length: int) -> dict[str, str | None]:
        if length not in self._ends:
            ends: dict[str, str | None] = {}
            for image, parts in self._images:
                if len(parts) >= length:
                    _add(ends, "/".join(parts[-length:]), image)
                    _add(ends, _stem("/".join(parts[-length:])), image)
            self._ends[length] = ends
        return self._ends[length]


def _stem(name: str) -> str:
    return _ENDING.sub("", name)


def _add(names: dict[str, str | None], name: str, image: str) -> None:
    # A name of two images would match either: it is known and matches none.
    names[name] = image if names.get(name, image) == image else None


def _plain(line: str) -> str:
    """Return a line without what stands around its name: brackets, bars, a question, `:1`."""
    if bracketed := _BRACKETS.fullmatch(line):
        line = bracketed[1]
    return _BEHIND.sub(r"\1", line).replace("|", ",")


def _names(line: str) -> Iterator[str]:
    """Yield what may be the name in a line, the likeliest first."""
    cells = next(csv.reader([line], skipinitialspace=True), [])
    for mark in "\t;":
        if mark in line:
            cells += line.split(mark)
    cells = [line, *cells[:1], *(cell for cell in cells[1:] if not _LABEL.fullmatch(cell.strip()))]
    for cell in dict.fromkeys(cell.strip().strip("\"'").replace("\\", "/") for cell in cells):
        if cell:
            yield cell
    words = line.strip().replace("\\", "/").split()
    # Names may hold blanks: label columns are taken off from the right, then a patient before it.
    for end in range(len(words) - 1, 0, -1):
        yield " ".join(words[:end]).rstrip(",;")
    # Labels before it.
    start = next((i for i, word in enumerate(words) if not _LABEL.fullmatch(word)), 0)
    for end in range(len(words), start, -1) if start else ():
        yield " ".join(words[start:end]).rstrip(",;")
    if words and "/" not in words[0]:
        for end in range(len(words), 1, -1):
            if _ENDING.search(words[end - 1].rstrip(",;")):
                yield " ".join(words[1:end]).rstrip(",;")


def first_cell(line: str) -> str:
    """Return what most likely is the name in a line that matched no image."""
    cells = re.split(r"[,;\t]", _plain(line))
    named = (cell for cell in cells if any(map(_ENDING.search, cell.strip("\"' ").split())))
    words = next(named, cells[0]).split()
    words = [word.strip("\"'") for word in words]
    ends = [index for index, word in enumerate(words) if _ENDING.search(word)]
    labels = next((i for i, word in enumerate(words) if not _LABEL.fullmatch(word)), 0)
    return " ".join(words[labels : ends[-1] + 1] if ends else words[:1])


def _words(line: str) -> list[str]:
    return [word.strip("\"'[]() ") for word in re.split(r"[,;\t\s]+", _plain(line))]


def _images_of(line: str) -> list[str]:
    """Return the different images that a line names by their endings; a mask is none."""
    found = {_stem(word): word for word in _words(line) if _ENDING.search(word)}
    films = [word for word in found.values() if not re.search("mask|label|seg", word, re.I)]
    return films or list(found.values())


def read_list(file: Path, index: NameIndex) -> list[str]:
    """Return the lines of a list file that name an image each; a header is left out.

    The first line is a header where it names no image and a cell of it is the name of a column.

    Raises:
        UserError: the file is missing, no text or empty, or a line names several images.
    """
    lines = read_lines(file, "correct --lists")
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if lines and index.find(lines[0]) is None and _is_header(lines[0]):
        lines = lines[1:]
    for number, line in enumerate(lines, 1):
        if len(named := _images_of(line)) > 1:
            raise UserError(
                f"{file}: entry {number} names several images ({named[0][:80]}, {named[1][:80]}); "
                "write one a line"
            )
    if not lines:
        raise UserError(f"{file}: names no image; correct --lists, or get the list again")
    return lines


def _is_header(line: str) -> bool:
    # A name that nobody knows is none: it may stand in the other list too.
    cells = [cell.strip("\"' ").lower() for cell in re.split(r"[,;\t]", line)]
    named = [cell for cell in cells if cell]
    if not named or re.search(r"\d", named[0]) or any(map(_ENDING.search, line.split())):
        return False
    return any(HEADER.search(cell) for cell in cells if not re.search(r"\d", cell))
