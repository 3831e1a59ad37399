"""The bytes of the pixels of a DICOM file: as many as its tags ask for, and whole."""

import math
from pathlib import Path
from typing import Any

import pydicom

from sista.errors import UserError

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# Of a JPEG 2000 file; the pixels alone have no boxes.
JP2 = b"\x00\x00\x00\x0cjP  "


def check_length(data: Any, path: Path) -> None:
    """Refuse pixels that stop early: some decoders fill the rest with grey.

    Of pixels that do not stop in time the rest is left out.

    Args:
        data: header and pixels.
        path: of the file.

    Raises:
        UserError: the file is cut off or damaged.
    """
    syntax = data.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        there, needed = stored(data), asked(data)
        if there < needed:
            raise UserError(
                f"{path}: the DICOM file is truncated: {there} bytes of pixels, where Rows, "
                f"Columns, SamplesPerPixel and BitsAllocated ask for {needed}; download it again"
            )
        name = _pixels_of(data)
        # Bytes of more samples or bits than the tags say, which they would scramble.
        if there // needed in (2, 3) and any(data[name].value[needed + needed % 2 :]):
            raise UserError(
                f"{path}: {there} bytes of pixels, where its tags ask for {needed}: its tag "
                "SamplesPerPixel, BitsAllocated or NumberOfFrames is wrong; correct the tag or get "
                "the file from its source again"
            )
        # Else what follows is no film.
        data[name].value = data[name].value[: needed + needed % 2]
        return
    frames = list(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1))
    if frames and frames[0].startswith(JP2):
        _check_boxes(frames[0], path)
    is_jpeg = syntax in (pydicom.uid.JPEGBaseline8Bit, pydicom.uid.JPEGExtended12Bit)
    # FF D9 ends a JPEG; DICOM may pad it behind that.
    if is_jpeg and b"\xff\xd9" not in frames[0].rstrip(b"\0")[-4:]:
        raise UserError(f"{path}: the DICOM file is truncated; download it again")


def _pixels_of(data: Any) -> str:
    return next(name for name in PIXELS if name in data)


def stored(data: Any) -> float:
    """Return the bytes of the pixels; those of a compressed film are in agreement with its tags."""
    if data.file_meta.TransferSyntaxUID.is_encapsulated:
        return math.inf
    return len(data[_pixels_of(data)].value)


def asked(data: Any) -> int:
    """Return the bytes that the tags ask for."""
    values = int(data.Rows) * int(data.Columns) * int(data.SamplesPerPixel)
    # Two colours are stored for every second pixel only.
    halves = 2 / 3 if data.PhotometricInterpretation == "YBR_FULL_422" else 1
    return int(values * halves) * int(data.BitsAllocated) // 8


def _check_boxes(code: bytes, path: Path) -> None:
    """Refuse a JPEG 2000 file with a box of no length before its pixels: pydicom waits at it."""
    place = len(JP2) + 4
    while place < len(code) and code[place + 4 : place + 8] != b"jp2c":
        length = int.from_bytes(code[place : place + 4], "big")
        if length < 8:
            raise UserError(f"{path}: a damaged JPEG 2000 image; download it again")
        place += length
