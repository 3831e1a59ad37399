"""Read one radiograph (DICOM, PNG, JPEG) as 8-bit grey and fit it into a square."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from sista.errors import UserError
from sista.preparation.frame import Frame

Pixels = NDArray[np.uint8]


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

    DICOM: modality and VOI look-up are applied, MONOCHROME1 is inverted. More than 8 bits are
    scaled from the least to the greatest value of the film. Colour becomes grey.

    Raises:
        UserError: the file is missing, truncated or not a readable image; the message names it.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such image; complete the download, then run again")
    try:
        return _dicom(path) if path.suffix.lower() in (".dcm", ".dicom") else _picture(path)
    except UserError:
        raise
    except Exception as error:  # decoders raise many kinds; their texts may quote the header
        raise UserError(
            f"{path}: cannot be read as an image ({type(error).__name__}): "
            "the file is truncated or damaged; download it again"
        ) from error


def _dicom(path: Path) -> Radiograph:
    # Downloads hold headers whose values break the standard; the pixels are checked below.
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path)
        if "PixelData" not in data:
            raise UserError(f"{path}: a DICOM file without pixels; it is truncated, get it again")
        _check_complete(data, path)
        values = data.pixel_array
        if values.ndim != 2:
            values = _grey(values, path)
        # Eight bits without window or look-up are display values already and stay as stored.
        plain = data.BitsStored == 8 and not ({"VOILUTSequence", "WindowCenter"} & set(data.dir()))
        if not plain or "RescaleSlope" in data or "ModalityLUTSequence" in data:
            # In this order: the window is given in units after the modality look-up (DICOM PS3.4,
            # N.2).
            values = apply_voi_lut(apply_modality_lut(values, data), data)
    pixels = _to_8_bit(values)
    # MONOCHROME1: the smallest value is white (DICOM PS3.3, C.7.6.3.1.2).
    if data.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = 255 - pixels
    patient = str(data.get("PatientID", "") or "").strip()
    view = str(data.get("ViewPosition", "") or "").strip()
    return Radiograph(pixels, _spacing(data), patient or None, view or None)


def _check_complete(data: Any, path: Path) -> None:
    """Refuse compressed pixels that stop early: some decoders fill the rest with grey."""
    syntax = data.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return
    frames = list(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1))
    is_jpeg = syntax in (pydicom.uid.JPEGBaseline8Bit, pydicom.uid.JPEGExtended12Bit)
    # FF D9 ends a JPEG; DICOM may pad it to an even length behind that.
    if is_jpeg and b"\xff\xd9" not in frames[0][-4:]:
        raise UserError(f"{path}: the DICOM file is truncated; download it again")


def _grey(values: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    if values.ndim == 3 and values.shape[-1] == 3:
        return np.asarray(Image.fromarray(values.astype(np.uint8)).convert("L"))
    raise UserError(f"{path}: a DICOM file of several frames; a radiograph has one")


def _to_8_bit(values: NDArray[Any]) -> Pixels:
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    numbers = values.astype(np.float32)
    low, high = float(numbers.min()), float(numbers.max())
    if high <= low:
        return np.zeros(values.shape, dtype=np.uint8)
    scaled: Pixels = np.rint((numbers - low) * (255.0 / (high - low))).astype(np.uint8)
    return scaled


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
            return Radiograph(_to_8_bit(np.asarray(image)))
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
