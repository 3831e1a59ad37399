"""Where the films of a download lie: packings differ in folders and in the form of the files."""

import filecmp
import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from sista.datasets._account import ENDINGS
from sista.datasets._source import Place, relative
from sista.files import walk

# Folders that say of which set their films are.
SETS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SETS |= {"training": "train", "trainset": "train", "dev": "val", "valset": "val"}
SETS |= {"testing": "test", "testset": "test"}
_WORDS = re.compile(r"[a-z]+")


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
        ending) anywhere but in the folder of another set, else the first of `usual`: to be told as
        missing when it is read.

        Args:
            place: row that names the film.
            name: of the film.
            usual: where the official packing has it.

        Raises:
            UserError: films of that name lie in several folders.
        """
        for path in usual:
            if os.path.isfile(f"{self.start}/{path}"):
                return relative(self.root, path, place)
        # As the last part of a path, so that a name with folders stays its own film.
        for known in (name, _stem(name, self.endings)):
            found = [path for path in self._places.get(known, ()) if _may_be(path, usual[0])]
            # Of one folder with several endings the first will do: the same film in two forms.
            if len({path.rpartition("/")[0] for path in found}) > 1 and not self._same(found):
                raise place.error(
                    f"its film lies in {len(found)} places ({found[0]}, {found[1]}); keep the one "
                    "that is meant"
                )
            if found:
                return relative(self.root, found[0], place)
        return relative(self.root, usual[0], place)

    def _same(self, paths: list[str]) -> bool:
        """Return whether these files hold the same bytes: a copy is no other film."""
        first, *rest = (self.root / path for path in paths)
        return all(filecmp.cmp(first, other, shallow=False) for other in rest)

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
    def _places(self) -> dict[str, list[str]]:
        places: dict[str, list[str]] = {}
        for path in self.all:
            name = path.rpartition("/")[2]
            for known in {name, _stem(name, self.endings)}:
                places.setdefault(known, []).append(path)
        return places


def _may_be(found: str, usual: str) -> bool:
    """Tell whether the folders of a film do not name another set than those where it is usual."""
    there, expected = _sets(found), _sets(usual)
    return not there or not expected or bool(there & expected)


def _sets(path: str) -> set[str]:
    folders = path.rpartition("/")[0].lower()
    return {SETS[word] for word in _WORDS.findall(folders) if word in SETS}


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
