"""Stand-ins for what a foreign pickle names: settings, callbacks and numbers beside the weights.

Training code keeps its own objects in a checkpoint. Nothing of their classes is needed for the
weights, so each name that torch does not know is one empty class of this file: nothing foreign is
imported or called, whatever it is called in the file.
"""

import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from sista.errors import UserError

# Real files name a few dozen; torch looks through all of them at each step.
MOST_NAMES = 1000


class _Fillable(type):
    """Torch gives items to what equals a dictionary's class, and states to what is none."""

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is OrderedDict

    __hash__ = type.__hash__


class Left(OrderedDict[Any, Any], metaclass=_Fillable):
    """What is left of an object: the items that were put into it, no arguments and no state."""

    def __new__(cls, *_: object) -> "Left":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        pass

    # Some are keys of a dictionary.
    __eq__, __ne__ = object.__eq__, object.__ne__
    __hash__ = object.__hash__  # type: ignore[assignment]


def stand_ins(path: Path) -> Any:
    """Return a context in which `torch.load` makes stand-ins of what a file names.

    Names that torch knows itself keep their meaning; those of modules that torch blocks (`os`,
    `sys`) are refused.

    Args:
        path: a file of `torch.save`, of either of its formats.

    Raises:
        UserError: it names too many classes.
    """
    names: set[str] = set()
    try:
        for name in _named(path):
            names.add(name)
            if len(names) > MOST_NAMES:
                raise UserError(
                    f"{path}: names more than {MOST_NAMES} classes, which no weights do"
                )
    except (ValueError, OSError, OverflowError, MemoryError, IndexError, zipfile.BadZipFile):
        # A damaged file: torch says where.
        pass
    return torch.serialization.safe_globals([(Left, name) for name in sorted(names)])


def _named(path: Path) -> Iterator[str]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            # Three of the format's own, then the content; its tensors' bytes follow.
            for _ in range(4):
                yield from _globals(stream)
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("/data.pkl"):
                with archive.open(name) as stream:
                    yield from _globals(stream)


def _globals(stream: IO[bytes]) -> Iterator[str]:
    """Yield the names of one pickle, which is looked at, not run."""
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            # Torch writes with the names of Python 2, and reads most of them with those of today.
            yield f"{module}.{name}"
            yield f"{IMPORT_MAPPING.get(module, module)}.{name}"
            yield ".".join(NAME_MAPPING.get((module, name), (module, name)))
