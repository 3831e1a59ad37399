"""Values of a film as 8-bit grey."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def to_8_bit(values: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> Pixels:
    """Return values as uint8: 8 bits as they are, others scaled from the least to the greatest.

    Args:
        values: of any number type, `[...]`.
        valid: which values set the scale; None = all. The others are cut at 0 and 255.
    """
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    numbers = values.astype(np.float32)
    chosen = numbers if valid is None else numbers[valid]
    low, high = float(chosen.min()), float(chosen.max())
    if high <= low:
        return np.zeros(values.shape, dtype=np.uint8)
    scaled = np.rint((numbers - low) * (255.0 / (high - low)))
    if valid is not None:
        scaled = scaled.clip(0, 255)
    pixels: Pixels = scaled.astype(np.uint8)
    return pixels


def colour_to_grey(values: NDArray[Any]) -> Pixels:
    """Return `[height, width, 3]` red, green and blue of any depth as grey."""
    return np.asarray(Image.fromarray(to_8_bit(values)).convert("L"))
