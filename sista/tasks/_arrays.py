"""Arrays as text in a predictions table: shape and single-precision numbers, exact."""

import base64
import binascii
import math
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sista.errors import UserError

MOST_AXES = 4
_FORM = re.compile(r"([0-9]{1,9}(?:x[0-9]{1,9}){0,3}):([A-Za-z0-9+/=]*)")
AGAIN = "delete the predictions and run again"


def pack(values: ArrayLike) -> str:
    """Return an array of at most four axes as `SHAPE:BASE64` of little-endian float32."""
    array = np.ascontiguousarray(values, dtype="<f4")
    if array.ndim > MOST_AXES:
        raise ValueError(f"an array of {array.ndim} axes cannot be packed")
    shape = "x".join(map(str, array.shape))
    return f"{shape}:{base64.b64encode(array.tobytes()).decode()}"


def unpack(text: str) -> NDArray[np.float64]:
    """Return the array that `pack` wrote, in double precision.

    Raises:
        UserError: the text is no such array.
    """
    match = _FORM.fullmatch(text)
    try:
        data = base64.b64decode(match[2], validate=True) if match else b""
    except binascii.Error:
        match = None
    shape = [int(side) for side in match[1].split("x")] if match else []
    if not match or len(data) != 4 * math.prod(shape):
        raise UserError(f"not a packed array; {AGAIN}")
    return np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float64)


def unpack_finite(text: str) -> NDArray[np.float64]:
    """Return the array that `pack` wrote, whose values must be finite numbers.

    Raises:
        UserError: the text is no such array.
    """
    array = unpack(text)
    if not np.isfinite(array).all():
        raise UserError(f"a packed array with values that are no finite numbers; {AGAIN}")
    return array


def unpack_equal(texts: Iterable[str]) -> NDArray[np.float64]:
    """Return arrays of one shape as one, `[N, ...]`.

    Raises:
        UserError: a text is no array, or they differ in shape.
    """
    arrays = [unpack_finite(text) for text in texts]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise UserError(f"packed arrays of shapes {shapes[0]} and {shapes[1]}; {AGAIN}")
    return np.stack(arrays)
