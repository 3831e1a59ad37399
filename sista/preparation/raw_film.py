"""Films of JSRT as downloaded: numbers without a header."""

import math
from pathlib import Path

import numpy as np

from sista.errors import UserError
from sista.preparation.grey import Pixels, to_8_bit

ENDING = ".img"
# Two bytes a pixel, the higher one first; 12 of the 16 bits are used, dark is high.
TYPE, DARKEST = np.dtype(">u2"), 4095
# Of the release; smaller ones are those of its phantom and its tests.
SIDE = 2048


def raw_side(path: Path) -> int:
    """Return the side of a square film in pixels.

    Raises:
        UserError: the size of the file is that of no square film.
    """
    size = path.stat().st_size
    side = math.isqrt(size // TYPE.itemsize)
    if side == 0 or side > SIDE or side**2 * TYPE.itemsize != size:
        raise UserError(
            f"{path}: {size} bytes are no square film of at most {SIDE} x {SIDE} px, two bytes a "
            "pixel: the file is truncated or damaged; download it again"
        )
    return side


def read_raw(path: Path) -> Pixels:
    """Return a film `[side, side]` as grey, bright bone on dark air.

    Raises:
        UserError: see `raw_side`.
    """
    side = raw_side(path)
    values = np.fromfile(path, dtype=TYPE).reshape(side, side)
    return to_8_bit(DARKEST - values.astype(np.int32).clip(0, DARKEST))
