"""Read one radiograph (DICOM, PNG, JPEG) as 8-bit grey and fit it into a square."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image, UnidentifiedImageError

from sista.errors import UserError
from sista.preparation.dicom import read_dicom
from sista.preparation.frame import Frame
from sista.preparation.grey import Pixels, to_8_bit

PICTURES = (b"\x89PNG", b"\xff\xd8\xff")


@dataclass(frozen=True)
class Radiograph:
    """One decoded film.

    Args:
        pixels: `[height, width]` uint8, bright bone on dark air.
        spacing: mm per native pixel, or NaN.
        patient_id: PatientID of a DICOM header, else None.
        view: ViewPosition of a DICOM header, else None.
    """

    pixels: Pixels
    spacing: float = float("nan")
    patient_id: str | None = None
    view: str | None = None

    @property
    def content_hash(self) -> str:
        """16 hex digits of the SHA-256 of the size and the native pixels."""
        # The size belongs to it: the same bytes in another shape are another film.
        height, width = self.pixels.shape
        digest = hashlib.sha256(f"{height}x{width}:".encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        return digest.hexdigest()[:16]


def load(path: Path) -> Radiograph:
    """Read a radiograph.

    DICOM as `sista.preparation.dicom.read_dicom` says, pictures of more than 8 bits are scaled from
    the least to the greatest value. Colour becomes grey.

    Raises:
        UserError: the file is missing, truncated or no image that can be shown; the message names
            it, and the tag of a DICOM file that is in the way.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such image; complete the download, then run again")
    try:
        return _dicom(path) if _is_dicom(path) else _picture(path)
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(
            f"{path}: holds no picture of a known kind (PNG, JPEG, DICOM); download it again"
        ) from error
    except Exception as error:  # decoders raise many kinds; their texts may quote the header
        raise UserError(
            f"{path}: cannot be read as an image ({type(error).__name__}): "
            "the file is truncated or damaged; download it again"
        ) from error


def film_size(path: Path) -> tuple[int, int] | None:
    """Return width and height by the header alone, None where it cannot be read."""
    try:
        if _is_dicom(path):
            data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
            return int(data.Columns), int(data.Rows)
        with Image.open(path) as image:
            return image.size
    except Exception:  # `load` explains what is wrong with the file
        return None


def _is_dicom(path: Path) -> bool:
    """Tell by the first bytes, where they say it, else by the ending."""
    with path.open("rb") as stream:
        start = stream.read(132)
    if start[128:] == b"DICM" or start.startswith(PICTURES):
        return start[128:] == b"DICM"
    return path.suffix.lower() in (".dcm", ".dicom")


def _dicom(path: Path) -> Radiograph:
    pixels, data = read_dicom(path)
    patient = str(data.get("PatientID", "") or "").strip()
    view = str(data.get("ViewPosition", "") or "").strip()
    return Radiograph(pixels, _spacing(data), patient or None, view or None)


def _spacing(data: Any) -> float:
    # The second is measured at the detector, where the chest is projected larger than it is.
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        try:
            value = float(data[name].value[0])
        except (KeyError, TypeError, ValueError, IndexError):
            continue
        if value > 0:
            return value
    return float("nan")


def _picture(path: Path) -> Radiograph:
    with Image.open(path) as image:
        image.load()
        # 16 bits: Pillow's conversion to L would cut at 255 instead of scaling.
        if image.mode.startswith(("I", "F")):
            return Radiograph(to_8_bit(np.asarray(image)))
        return Radiograph(np.ascontiguousarray(np.asarray(image.convert("L"))))


def fit(pixels: Pixels, size: int) -> tuple[Pixels, Frame]:
    """Scale the long side to `size` (antialiased) and pad with zeros to a centred square.

    Returns:
        The `[size, size]` uint8 square, and where the film lies in it.
    """
    height, width = pixels.shape
    frame = Frame.fitted(width, height, size)
    columns, lines = frame.fitted_size
    image = Image.fromarray(pixels)
    if (columns, lines) != (width, height):
        image = image.resize((columns, lines), Image.Resampling.BICUBIC)
    left, top = int(frame.pad_x), int(frame.pad_y)
    square = np.zeros((size, size), dtype=np.uint8)
    square[top : top + lines, left : left + columns] = np.asarray(image)
    return square, frame
