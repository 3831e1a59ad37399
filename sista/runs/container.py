"""The container of prepared images: one NumPy file, uint8 `[N, side, side]`, read in place."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sista.errors import UserError
from sista.files import reading
from sista.runs.arrays import read_array

AGAIN = "run prepare again"


def read_container(path: Path, last: int) -> NDArray[np.uint8]:
    """Return the images of a container, mapped into memory.

    Args:
        path: of the file.
        last: largest row that its manifest names.

    Raises:
        UserError: it is missing, damaged, of another shape or too short.
    """
    with reading(path, AGAIN):
        images: NDArray[np.uint8] = read_array(path, "r")
    if images.ndim != 3 or images.dtype != np.uint8 or images.shape[1] != images.shape[2]:
        told = f"{images.dtype} of shape {images.shape}"
        raise UserError(f"{path}: {told} in place of square images of 8 bits; {AGAIN}")
    if len(images) <= last:
        raise UserError(f"{path}: {len(images)} images, fewer than its manifest names; {AGAIN}")
    return images


def check_container(path: Path, count: int, side: int) -> None:
    """Refuse a container that is not the one of its manifest: its rows would be other films.

    Args:
        path: of the file.
        count: films of the manifest.
        side: of its images in pixels, as the manifest says.

    Raises:
        UserError: it holds other numbers of them, or see `read_container`.
    """
    images = read_container(path, -1)
    if (len(images), images.shape[1]) != (count, side):
        raise UserError(
            f"{path}: {len(images)} images of {images.shape[1]} px, its manifest has {count} of "
            f"{side} px; {AGAIN}"
        )
