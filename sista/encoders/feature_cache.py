"""Features of a frozen encoder on disk, shared by the jobs of several heads: one job encodes.

They lie beside the encoder in `.features/KEY`, where KEY names the weights, the images and what
else decides the bits. `sista score --discard-features` removes them when all heads of a grid are
done, as the workflow asks it to.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sista.errors import UserError
from sista.files import digest
from sista.runs.alone import held
from sista.runs.arrays import read_array

FOLDER = ".features"
POOLED = "pooled.npy"


class FeatureCache:
    """Features of one encoder on one list of images.

    Args:
        folder: of all features of the encoder.
        key: all that decides the bits of the features, as JSON values.
        also: levels that other heads are likely to ask for; kept too where there is room.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], also: Sequence[int] = ()) -> None:
        self.folder = folder / digest(key)
        self.also = tuple(also)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the features for oneself; waits for a job that encodes them at the moment."""
        for folder in (self.folder.parent, self.folder):
            if folder.is_symlink():
                raise UserError(f"{folder}: a link in the place of kept features; delete it")
        with held(self.folder / "lock", "features: another job encodes these images"):
            # Opening a pipe, as rmtree does, would wait for ever.
            for left in filter(Path.is_dir, self.folder.glob("*.tmp")):
                shutil.rmtree(left, ignore_errors=True)
            yield

    def has(self, levels: Sequence[int]) -> bool:
        """Return whether pooled features and these maps are there. Needs the lock."""
        return all((self.folder / name).is_file() for name in (POOLED, *map(map_name, levels)))

    def read(
        self, levels: Sequence[int], in_memory: bool
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float16]]]:
        """Return pooled features and maps; maps that are not in memory are read when used."""
        # Copy on write: torch warns of arrays that cannot be written.
        mode: Literal["c"] | None = None if in_memory else "c"
        maps = [read_array(self.folder / map_name(level), mode) for level in levels]
        return read_array(self.folder / POOLED), maps

    @contextmanager
    def filling(self) -> Iterator[Path]:
        """Yield a folder for new files; they take their places together at the end."""
        with TemporaryDirectory(dir=self.folder, suffix=".tmp", ignore_cleanup_errors=True) as new:
            yield Path(new)
            for path in sorted(Path(new).iterdir()):
                os.replace(path, self.folder / path.name)


def map_name(level: int) -> str:
    """Return the file name of the maps of a level."""
    return f"map{level}.npy"


def new_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Return an array of zeros in a new file; a full disk is an error here, not a crash later.

    Raises:
        OSError: no space left.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    with path.open("r+b") as stream:
        # A file with holes takes no room yet: a full disk would end the process by SIGBUS, when the
        # array is written through memory.
        os.posix_fallocate(stream.fileno(), 0, max(path.stat().st_size, 1))
    return array


def discard(checkpoint: Path) -> None:
    """Remove the kept features of an encoder, but not those that a job holds at the moment."""
    for folder in (checkpoint.parent / FOLDER).glob("*"):
        # A link leads to what is not ours; opening a pipe would wait for ever.
        if folder.is_symlink() or folder.parent.is_symlink() or not (folder / "lock").is_file():
            continue
        with suppress(OSError), (folder / "lock").open("ab") as stream:
            # Held while features are written or opened; what a job has open outlives its removal.
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        (checkpoint.parent / FOLDER).rmdir()
