"""Arrays as text in a predictions table: shape and single-precision numbers, exact."""

import base64
import binascii
import math
import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sista.errors import UserError

_FORM = re.compile(r"(\d{1,9}(?:x\d{1,9}){0,3}):([A-Za-z0-9+/=]*)")


def pack(values: ArrayLike) -> str:
    """Return an array as `SHAPE:BASE64` of little-endian float32, e.g. `2x3:...`."""
    array = np.ascontiguousarray(values, dtype="<f4")
    shape = "x".join(map(str, array.shape))
    return f"{shape}:{base64.b64encode(array.tobytes()).decode()}"


def unpack(text: str) -> NDArray[np.float64]:
    """Return the array that `pack` wrote, in double precision.

    Raises:
        UserError: the text is no such array.
    """
    found = _FORM.fullmatch(text)
    try:
        data = base64.b64decode(found[2], validate=True) if found else b""
    except binascii.Error:
        found = None
    shape = [int(side) for side in found[1].split("x")] if found else []
    if not found or len(data) != 4 * math.prod(shape):
        raise UserError("not a packed array; delete the predictions and run again")
    return np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float64)
