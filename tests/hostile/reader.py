"""One reader of the package as the fuzzer sees it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.mutate import Mutation


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        word: its name.
        read: takes the path of a mutated file.
        seeds: contents of valid files.
        mutations: beside those of bytes.
        suffix: of the file.
        place: of the file in a folder of its neighbours; "" = alone.
        allowed: errors that its documentation names beside `UserError`.
        share: of the inputs, relative to others.
    """

    word: str
    read: Callable[[Path], Any]
    seeds: list[bytes]
    mutations: tuple[Mutation, ...] = ()
    suffix: str = ""
    tree: Path | None = None
    place: str = ""
    allowed: tuple[type[Exception], ...] = ()
    share: int = 6

    def home(self, folder: Path) -> Path:
        """Return where the mutated file is written, its valid neighbours beside it."""
        if self.tree is None:
            return folder / f"{self.word.replace(' ', '_')}{self.suffix}"
        copy = folder / self.word.replace(" ", "_")
        if not copy.is_dir():
            shutil.copytree(self.tree, copy)
        return copy / self.place
