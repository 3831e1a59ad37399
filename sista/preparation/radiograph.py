"""Read one radiograph (DICOM, PNG, JPEG) as 8-bit grey and fit it into a square."""

import hashlib
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from sista.errors import UserError, check_limit
from sista.files import check_size, reading
from sista.preparation.frame import Frame
from sista.preparation.masks import FORMATS

Pixels = NDArray[np.uint8]
DEFLATED = pydicom.uid.DeflatedExplicitVRLittleEndian
COLOURS = ("RGB", "RGBA", "LA")
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

    DICOM: modality and VOI look-up are applied, MONOCHROME1 is inverted. More than 8 bits are
    scaled from the least to the greatest value of the film. Colour becomes grey.

    Raises:
        UserError: the file is missing, truncated or not a readable image; the message names it.
    """
    with reading(path, "complete the download, then run again"):
        check_size(path)
        try:
            return _dicom(path) if is_dicom(path.name) else _picture(path)
        except UserError:
            raise
        except MemoryError as error:
            raise UserError(f"{path}: does not fit into memory; use a larger machine") from error
        except Exception as error:  # decoders raise many kinds; their texts may quote the header
            raise UserError(
                f"{path}: cannot be read as an image ({type(error).__name__}): "
                "the file is truncated or damaged; download it again"
            ) from error


def is_dicom(path: str) -> bool:
    """Return whether a file is read as DICOM, by its name."""
    return path.lower().endswith((".dcm", ".dicom"))


def _dicom(path: Path) -> Radiograph:
    # Downloads hold headers whose values break the standard; the pixels are checked below.
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        # Deflated files name no size: a small one may unpack to any.
        if read_file_meta_info(path).get("TransferSyntaxUID") == DEFLATED:
            raise UserError(f"{path}: a deflated DICOM file; store it without deflation")
        data = pydicom.dcmread(path)
        if "PixelData" not in data:
            raise UserError(f"{path}: a DICOM file without pixels; it is truncated, get it again")
        _check_complete(data, path)
        sides = (data.Rows, data.Columns, data.SamplesPerPixel, data.get("NumberOfFrames") or 1)
        check_limit("SISTA_MAX_PIXELS", math.prod(map(int, sides)), f"{path}")
        values = data.pixel_array
        if values.ndim != 2:
            values = _grey(values, path)
        # Eight bits without window or look-up are display values already and stay as stored.
        plain = data.BitsStored == 8 and not ({"VOILUTSequence", "WindowCenter"} & set(data.dir()))
        if not plain or "RescaleSlope" in data or "ModalityLUTSequence" in data:
            # In this order: the window is given in units after the modality look-up (DICOM PS3.4,
            # N.2).
            values = apply_voi_lut(apply_modality_lut(values, data), data)
    pixels = _to_8_bit(values, path)
    # MONOCHROME1: the smallest value is white (DICOM PS3.3, C.7.6.3.1.2).
    if data.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = 255 - pixels
    patient, view = (_word(data.get(name)) for name in ("PatientID", "ViewPosition"))
    return Radiograph(pixels, _spacing(data), patient or None, view or None)


def _word(value: object) -> str:
    """Return a word of a header without what no name holds: control characters."""
    return "".join(c for c in str(value or "") if c.isprintable()).strip()


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
        if values.dtype == np.uint8:
            return np.asarray(Image.fromarray(values).convert("L"))
        return _luma(values)
    raise UserError(f"{path}: a DICOM file of several frames; a radiograph has one")


def _luma(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return the grey of more than 8 bits a colour, with the weights of Pillow (ITU-R 601)."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    grey: NDArray[np.float32] = np.rint(values.astype(np.float32) @ weights)
    return grey


def _to_8_bit(values: NDArray[Any], path: Path) -> Pixels:
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    numbers = values.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise UserError(f"{path}: pixels that are no finite numbers; get the file again")
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
        if 0 < value < math.inf:
            return value
    return float("nan")


def _picture(path: Path) -> Radiograph:
    with Image.open(path, formats=FORMATS) as image:
        check_limit("SISTA_MAX_PIXELS", math.prod(image.size), f"{path}")
        # 16 bits a colour: Pillow would keep the upper eight, which may hold nothing.
        if image.mode in COLOURS and any("16" in str(tile[3]) for tile in image.tile):
            return Radiograph(_to_8_bit(_deep_colour(path), path))
        image.load()
        # 16 bits: Pillow's conversion to L would cut at 255 instead of scaling.
        if image.mode.startswith(("I", "F")):
            return Radiograph(_to_8_bit(np.asarray(image), path))
        return Radiograph(np.ascontiguousarray(np.asarray(image.convert("L"))))


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
    return _luma(values[..., 2::-1])


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
