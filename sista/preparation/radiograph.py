"""Read one radiograph (DICOM, PNG, JPEG) as 8-bit grey and fit it into a square."""

import hashlib
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from sista.errors import UserError, check_limit
from sista.files import check_size, reading
from sista.preparation.dicom import read_dicom
from sista.preparation.frame import Frame
from sista.preparation.grey import NotFiniteError, Pixels, luma, to_8_bit
from sista.preparation.masks import FORMATS, check_frames
from sista.preparation.raw_film import ENDING, raw_side, read_raw

PICTURES = (b"\x89PNG", b"\xff\xd8\xff")
COLOURS = ("RGB", "RGBA", "LA")
# Orientations of EXIF whose lines are columns when shown.
LYING = (5, 6, 7, 8)
# DICOM allows 64.
LONGEST_WORD = 256
# A DICOM file whose name is its SOP instance UID, without an ending.
_BY_UID = re.compile(r"(^|/)[0-9]+(\.[0-9]+){2,}$")
# The limit on pixels is ours, and names itself.
Image.MAX_IMAGE_PIXELS = None


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
    the least to the greatest value. Colour becomes grey, and EXIF's orientation is followed.

    Raises:
        UserError: the file is missing, truncated or no image that can be shown; the message names
            it, and the tag of a DICOM file that is in the way.
    """
    with reading(path, "complete the download, then run again"):
        check_size(path)
        try:
            if path.suffix.lower() == ENDING:
                return Radiograph(read_raw(path))
            return _dicom(path) if _holds_dicom(path) else _picture(path)
        except UserError:
            raise
        except MemoryError as error:
            raise UserError(f"{path}: does not fit into memory; use a larger machine") from error
        except NotFiniteError as error:
            raise UserError(f"{path}: {error}; get the file again") from error
        except UnidentifiedImageError as error:
            raise UserError(
                f"{path}: holds no picture of a known kind (PNG, JPEG, DICOM); download it again"
            ) from error
        except Exception as error:  # decoders raise many kinds; their texts may quote the header
            raise UserError(
                f"{path}: cannot be read as an image ({type(error).__name__}): "
                "the file is truncated or damaged; download it again"
            ) from error


def view_of(path: Path) -> str | None:
    """Return the ViewPosition of a DICOM header, empty where it has none; None = unreadable."""
    try:
        data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["ViewPosition"])
        return _word(data, "ViewPosition", path) or ""
    except Exception:  # `load` explains what is wrong with the file
        return None


def is_dicom(path: str) -> bool:
    """Return whether a file is read as DICOM, by its name: some sets name it by its UID alone."""
    return path.lower().endswith((".dcm", ".dicom")) or _BY_UID.search(path) is not None


def film_size(path: Path) -> tuple[int, int] | None:
    """Return width and height by the header alone, None where it cannot be read."""
    try:
        if path.suffix.lower() == ENDING:
            return raw_side(path), raw_side(path)
        if _holds_dicom(path):
            data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
            return int(data.Columns), int(data.Rows)
        with Image.open(path, formats=FORMATS) as image:
            on_its_side = image.getexif().get(ExifTags.Base.Orientation) in LYING
            return image.size[::-1] if on_its_side else image.size
    except Exception:  # `load` explains what is wrong with the file
        return None


def _holds_dicom(path: Path) -> bool:
    """Tell by the name, unless the file behind it starts as a picture."""
    if not is_dicom(path.name):
        return False
    with path.open("rb") as stream:
        return not stream.read(4).startswith(PICTURES)


def _dicom(path: Path) -> Radiograph:
    pixels, data = read_dicom(path)
    patient, view = (_word(data, name, path) for name in ("PatientID", "ViewPosition"))
    return Radiograph(pixels, _spacing(data), patient, view)


def _word(data: Any, name: str, path: Path) -> str | None:
    """Return a word of a header, None where it is empty.

    Raises:
        UserError: it holds what no name does: two people could become one without it.
    """
    # What is wrong with a value is said below, in words.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Padded to an even length.
        word = str(data.get(name) or "").strip("\0 \t\r\n")
    if not word.isprintable() or len(word) > LONGEST_WORD:
        raise UserError(
            f"{path}: its tag {name} holds control characters or more than {LONGEST_WORD} letters; "
            "correct the tag or get the file from its source again"
        )
    return word or None


def _spacing(data: Any) -> float:
    # The second is measured at the detector, where the chest is projected larger than it is.
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        try:
            value = float(data[name].value[0])
        except (KeyError, TypeError, ValueError, IndexError):
            continue
        if 0 < value < math.inf:
            return value
    return float("nan")


def _picture(path: Path) -> Radiograph:
    with Image.open(path, formats=FORMATS) as file:
        check_limit("SISTA_MAX_PIXELS", math.prod(file.size), f"{path}")
        check_frames(file, f"{path}")
        # 16 bits a colour: Pillow would keep the upper eight, which may hold nothing.
        if file.mode in COLOURS and any("16" in str(tile[3]) for tile in file.tile):
            return Radiograph(to_8_bit(_deep_colour(path)))
        # In place, and converted only where it is needed: a copy of a film takes as long as a third
        # of its decoding.
        ImageOps.exif_transpose(file, in_place=True)
        # 16 bits: Pillow's conversion to L would cut at 255 instead of scaling.
        if file.mode.startswith(("I", "F")):
            return Radiograph(to_8_bit(np.asarray(file)))
        return Radiograph(_grey(file if file.mode == "L" else file.convert("L")))


def _grey(image: Image.Image) -> Pixels:
    """Return the pixels of a grey picture, where Pillow holds them in one piece without a copy."""
    # Here: planning reads tables without it.
    import pyarrow

    try:
        pixels: Pixels = pyarrow.array(image).to_numpy()
    except ValueError:  # above 16 million pixels it holds several pieces
        return np.asarray(image)
    return pixels.reshape(image.height, image.width)


def _deep_colour(path: Path) -> NDArray[Any]:
    """Return the grey of a picture of 16 bits a colour; transparency is left out."""
    # Here: hardly any film needs it.
    import cv2

    values = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise ValueError("not decoded")
    if values.ndim == 2 or values.shape[2] < 3:
        return values.reshape(*values.shape[:2], -1)[..., 0]
    # OpenCV has blue first.
    return luma(values[..., 2::-1])


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
