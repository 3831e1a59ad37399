"""The container of prepared images: one NumPy file, uint8 `[N, side, side]`, read in place."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sista.errors import UserError
from sista.files import reading

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
        images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    if images.ndim != 3 or images.dtype != np.uint8 or images.shape[1] != images.shape[2]:
        told = f"{images.dtype} of shape {images.shape}"
        raise UserError(f"{path}: {told} in place of square images of 8 bits; {AGAIN}")
    if len(images) <= last:
        raise UserError(f"{path}: {len(images)} images, fewer than its manifest names; {AGAIN}")
    return images
