"""NumPy's files, read without pickles: a container of images, a cache of features or vectors."""

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sista.errors import UserError
from sista.files import regular


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn whatever NumPy raises of a damaged file, its tokenizer's own errors too, into one."""
    try:
        yield
    except (OSError, UserError):
        raise
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error


def read_array(path: Path, mmap_mode: Literal["r", "c"] | None = None) -> NDArray[Any]:
    """Return the array of a .npy file.

    Args:
        path: the file.
        mmap_mode: `r` or `c` reads what is used when it is used; None reads all.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no array, or promises more or less than it holds.
    """
    with _damage(path):
        array = np.load(regular(path), mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.memmap):
        raise ValueError(f"{path}: an archive, not an array")
    if array.offset + array.nbytes != path.stat().st_size:
        raise ValueError(f"{path}: more bytes than its array has")
    if mmap_mode == "r":
        return array
    # Mapped first: the header alone cannot ask for memory, the file must have the bytes.
    return np.array(array) if mmap_mode is None else np.load(path, mmap_mode, allow_pickle=False)


def read_folder(folder: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays `NAME.npy` of a folder, mapped into memory: processes share them.

    Args:
        folder: written whole by `atomic`.
        names: of the arrays.

    Raises:
        OSError: one cannot be read.
        ValueError: one is no array, or promises more than it holds.
    """
    return {name: read_array(folder / f"{name}.npy", "r") for name in names}


def read_arrays(path: Path, most_bytes: int | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file by name.

    Args:
        path: the file.
        most_bytes: that they may unpack to; None = entries are not packed, as ours are not.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no archive of arrays, or unpacks to more.
    """
    with _damage(path), regular(path).open("rb") as stream:
        with zipfile.ZipFile(stream) as archive:
            _check_sizes(archive.infolist(), most_bytes)
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    # NumPy gives entries that are no arrays as they are.
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError(f"{path}: holds something else than arrays")
    return arrays


def _check_sizes(entries: list[zipfile.ZipInfo], most_bytes: int | None) -> None:
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed and most_bytes is None:
        raise ValueError("packed entries")
    if most_bytes is not None and sum(entry.file_size for entry in entries) > most_bytes:
        raise ValueError(f"unpacks to more than {most_bytes >> 20} MiB")
