"""Stored values of a DICOM file: which bits are the film's, and which values pad it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


def first_number(data: Any, name: str | tuple[int, int]) -> float | None:
    """Return the number of a tag, the first of several; None where it holds none."""
    try:
        value = data[name].value
        number = float(value if isinstance(value, (str, int, float)) else value[0])
    except Exception:  # pydicom converts values here; what it raises depends on the tag
        return None
    return number if np.isfinite(number) else None


def bits_below(data: Any) -> int:
    """Return how many bits lie below the value in its cell (HighBit), which hold nothing of it.

    Compressed pixels come from their codec as they are meant.
    """
    high, stored = first_number(data, "HighBit"), int(data.BitsStored)
    if high is None or not stored <= high < int(data.BitsAllocated):
        return 0
    compressed = data.file_meta.TransferSyntaxUID.is_encapsulated
    return 0 if compressed or data.BitsAllocated > 16 else int(high) + 1 - stored


def padding_of(data: Any, values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which stored values pad the film, None where none or all do (PS3.3, C.7.5.1.1.2)."""
    first = first_number(data, "PixelPaddingValue")
    if first is None or data.PhotometricInterpretation not in MONOCHROME:
        return None
    last = first_number(data, "PixelPaddingRangeLimit")
    bits, signed = 8 * values.dtype.itemsize, values.dtype.kind == "i"
    # Its type follows that of the pixels, yet is often written as the other one.
    ends = sorted(_as_stored(end, bits, signed) for end in (first, first if last is None else last))
    padding: NDArray[np.bool_] = (values >= ends[0]) & (values <= ends[1])
    return padding if padding.any() and not padding.all() else None


def _as_stored(value: float, bits: int, signed: bool) -> float:
    if signed and value >= 2 ** (bits - 1):
        return value - 2.0**bits
    return value + 2.0**bits if value < 0 and not signed else value


def without_overlay(data: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return values without the overlay that old scanners keep above the stored bits."""
    position = first_number(data, (0x6000, 0x0102)) if (0x6000, 0x0102) in data else None
    if not position or position < data.BitsStored or values.dtype.kind != "u":
        return values
    stored: NDArray[Any] = values & values.dtype.type(2 ** int(data.BitsStored) - 1)
    return stored
