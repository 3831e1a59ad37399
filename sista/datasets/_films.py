"""Where the films of a download lie: packings differ in folders and in the form of the files."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from sista.datasets._account import ENDINGS
from sista.datasets._source import Place, relative
from sista.files import walk


class Films:
    """The films of a download by name."""

    def __init__(self, root: Path, endings: tuple[str, ...] = ENDINGS) -> None:
        """Look for films below a folder.

        Args:
            root: of the download.
            endings: of their names; masks have a folder or a name that says so.
        """
        self.root, self.start = root, str(root)
        self.endings = endings

    def path(self, place: Place, name: str, *usual: str) -> str:
        """Return the path of a film below the root, checked to stay inside it.

        It is the first of `usual` that is there, else a film of that name (with or without its
        ending) anywhere, else the first of `usual`: to be told as missing when it is read.

        Args:
            place: row that names the film.
            name: of the film.
            usual: where the official packing has it.
        """
        for path in usual:
            if os.path.isfile(f"{self.start}/{path}"):
                return relative(self.root, path, place)
        # As the last part of a path, so that a name with folders stays its own film.
        found = self._places.get(name) or self._places.get(_stem(name, self.endings))
        return relative(self.root, found or usual[0], place)

    def below(self, folder: str) -> Iterator[str]:
        """Yield the paths of the films below a folder, sorted."""
        start = f"{folder}/" if folder else ""
        yield from (path for path in self.all if path.startswith(start))

    @cached_property
    def all(self) -> list[str]:
        """The paths of all films, sorted."""
        return sorted(
            path
            for path in _walk(self.root)
            if path.lower().endswith(self.endings) and "mask" not in path.lower()
        )

    @cached_property
    def _places(self) -> dict[str, str]:
        places: dict[str, str] = {}
        for path in self.all:
            name = path.rpartition("/")[2]
            places.setdefault(name, path)
            places.setdefault(_stem(name, self.endings), path)
        return places


def _stem(name: str, endings: tuple[str, ...]) -> str:
    ending = next((end for end in endings if name.lower().endswith(end)), "")
    return name.removesuffix(name[len(name) - len(ending) :]) if ending else name


def _walk(root: Path) -> Iterator[str]:
    """Yield the files below a folder; a folder that is linked to twice is walked once."""
    seen: set[tuple[int, int]] = set()
    for folder, names, files in walk(root, links=True):
        state = os.stat(folder)
        if (state.st_dev, state.st_ino) in seen:
            names.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        names[:] = sorted(name for name in names if not name.startswith("."))
        start = os.path.relpath(folder, root)
        yield from (name if start == "." else f"{start}/{name}" for name in files)
