"""Values of a film as 8-bit grey."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


class NotFiniteError(ValueError):
    """A pixel is infinite or no number."""


def to_8_bit(values: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> Pixels:
    """Return values as uint8: 8 bits as they are, others scaled from the least to the greatest.

    Args:
        values: of any number type, `[...]`.
        valid: which values set the scale; None = all. The others are cut at 0 and 255.

    Raises:
        NotFiniteError: a value is infinite or no number.
    """
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    numbers = values.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise NotFiniteError("pixels that are no finite numbers")
    chosen = numbers if valid is None else numbers[valid]
    low, high = float(chosen.min()), float(chosen.max())
    if high <= low:
        return np.zeros(values.shape, dtype=np.uint8)
    scaled = np.rint((numbers - low) * (255.0 / (high - low)))
    if valid is not None:
        scaled = scaled.clip(0, 255)
    pixels: Pixels = scaled.astype(np.uint8)
    return pixels


def luma(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return the grey of more than 8 bits a colour, with the weights of Pillow (ITU-R 601)."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    grey: NDArray[np.float32] = np.rint(values.astype(np.float32) @ weights)
    return grey


def colour_to_grey(values: NDArray[Any]) -> Pixels:
    """Return `[height, width, 3]` red, green and blue of any depth as grey."""
    if values.dtype == np.uint8:
        return np.asarray(Image.fromarray(values).convert("L"))
    return to_8_bit(luma(values))
