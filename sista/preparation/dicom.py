"""The pixels of one DICOM file as a common viewer shows them, or the tag that prevents it."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.datadict import keyword_for_tag
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import (
    apply_color_lut,
    apply_modality_lut,
    apply_presentation_lut,
    apply_voi_lut,
    pixel_array,
)
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from sista.errors import UserError, check_limit
from sista.preparation.grey import Pixels, colour_to_grey, to_8_bit
from sista.preparation.pixel_bytes import PIXELS, asked, check_length, stored
from sista.preparation.stored_values import (
    MONOCHROME,
    bits_below,
    first_number,
    padding_of,
    without_overlay,
)

PALETTE = ("RedPaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData")
ALLOCATED = (8, 16, 32, 64)
NEEDED = ("Rows", "Columns", "BitsAllocated")
WINDOW = ("WindowCenter", "WindowWidth")
RESCALE = ("RescaleSlope", "RescaleIntercept")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")
VOI_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# In this order: the window is given in units after the modality look-up (DICOM PS3.4, N.2).
LOOK_UPS = (
    (apply_modality_lut, "ModalityLUTSequence"),
    (apply_voi_lut, "VOILUTSequence"),
    (apply_presentation_lut, "PresentationLUTSequence"),
)


def read_dicom(path: Path) -> tuple[Pixels, Any]:
    """Return the film `[height, width]`, bright bone on dark air, and the header.

    Modality, VOI and presentation look-up are applied, MONOCHROME1 is inverted, and pixels that pad
    the film (PixelPaddingValue) are black and set no scale. Empty optional tags count as absent.
    More than 8 bits are scaled from the least to the greatest value of the film.

    Raises:
        UserError: a tag has a value that no film can be shown with; the file and the tag are named.
            Or the file has no pixels, or is cut off.
        Exception: of a decoder, where the pixels are damaged.
    """
    # Downloads hold headers whose values break the standard; what matters is checked below.
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        data = _open(path)
        if not any(name in data for name in PIXELS):
            raise UserError(
                f"{path}: a DICOM file without pixels (no PixelData): no film, or cut off before "
                "them; get it again, or remove its row"
            )
        _mend(data, path)
        check_length(data, path)
        pixels_in_all = int(data.Rows) * int(data.Columns) * int(data.SamplesPerPixel)
        check_limit("SISTA_MAX_PIXELS", pixels_in_all, f"{path}")
        # The decoder keeps the lowest bits that are stored: these, and the ones below them.
        below = bits_below(data)
        data.BitsStored += below
        values = _decode(data, path) >> below if below else _decode(data, path)
        data.BitsStored -= below
        if values.ndim != 2:
            return colour_to_grey(values), data
        padding = padding_of(data, values)
        values = without_overlay(data, values)
        values = _displayed(values, data, path)
        if not np.isfinite(values).all():
            raise UserError(f"{path}: pixels that are no finite numbers; get the file again")
        pixels = to_8_bit(values, None if padding is None else ~padding)
    if _is_inverse(data):
        pixels = 255 - pixels
    if padding is not None:
        pixels = np.where(padding, np.uint8(0), pixels)
    return pixels, data


def _is_inverse(data: Any) -> bool:
    """Return whether the smallest value is white (DICOM PS3.3, C.7.6.3.1.2 and C.11.6.1.2)."""
    # Such a table gives grey as it is meant to be seen.
    if "PresentationLUTSequence" in data:
        return False
    shape = str(data.get("PresentationLUTShape") or "").strip().upper()
    return data.PhotometricInterpretation == "MONOCHROME1" or shape == "INVERSE"


def _refusal(path: Path, tag: str, reason: str) -> UserError:
    return UserError(
        f"{path}: its tag {tag} {reason}, so it cannot be shown; correct the tag or get the file "
        "from its source again"
    )


def _open(path: Path) -> Any:
    try:
        # Deflated files name no size: a small one may unpack to any.
        if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            raise UserError(f"{path}: a deflated DICOM file; store it without deflation")
        data = pydicom.dcmread(path)
    except InvalidDicomError:
        # Without preamble and mark, as some archives export them. Of any other file this makes a
        # header without pixels.
        data = pydicom.dcmread(path, force=True)
        if not any(name in data for name in PIXELS):
            raise UserError(f"{path}: no DICOM file; get it again") from None
    if not data.file_meta.get("TransferSyntaxUID"):
        implicit, little = data.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    return data


def _is_empty(data: Any, name: str) -> bool:
    """Tell whether a tag is there without a value (or a sequence without an item)."""
    if name not in data:
        return False
    try:
        value = data[name].value
    except Exception:  # pydicom converts values here; what it raises depends on the tag
        return False
    return (
        value is None or (hasattr(value, "__len__") and len(value) == 0) or not str(value).strip()
    )


def _mend(data: Any, path: Path) -> None:
    """Set what a viewer would assume, drop what it would ignore, refuse the rest by its tag."""
    for name in NEEDED:
        if not first_number(data, name):
            raise _refusal(path, name, "is missing, empty or 0")
    for name in [element.keyword for element in data.group_dataset(0x0028) if element.keyword]:
        if _is_empty(data, name):
            del data[name]
    allocated = int(data.BitsAllocated)
    if allocated not in ALLOCATED:
        raise _refusal(path, "BitsAllocated", f"is none of {', '.join(map(str, ALLOCATED))}")
    defaults = {"SamplesPerPixel": 1, "PixelRepresentation": 0, "BitsStored": allocated}
    for name, default in defaults.items():
        if first_number(data, name) is None:
            setattr(data, name, default)
    if not 0 < int(data.BitsStored) <= allocated:
        data.BitsStored = allocated
    _mend_colour(data, path)
    frames = first_number(data, "NumberOfFrames")
    if "NumberOfFrames" in data and (frames is None or frames > 1):
        told = "several frames" if frames else "a number of frames that is none"
        raise UserError(f"{path}: a DICOM file of {told}; a radiograph has one (NumberOfFrames)")
    data.pop("NumberOfFrames", None)
    _mend_look_ups(data, path)


def _mend_colour(data: Any, path: Path) -> None:
    """Bring the number of samples and what they mean into agreement."""
    samples = int(data.SamplesPerPixel)
    photometric = str(data.get("PhotometricInterpretation", "")).strip().upper()
    photometric = photometric or ("MONOCHROME2" if samples == 1 else "RGB")
    if photometric not in (*MONOCHROME, *COLOUR):
        raise _refusal(path, "PhotometricInterpretation", "has an unknown value")
    if samples not in (1, 3):
        raise _refusal(path, "SamplesPerPixel", "is neither 1 nor 3")
    if photometric == "PALETTE COLOR" and not any(data.get(name) for name in PALETTE):
        raise _refusal(path, "PhotometricInterpretation", "asks for a palette that is not there")
    data.PhotometricInterpretation = photometric
    # Grey with three samples in the tag alone, or colour with one: the bytes tell.
    grey = photometric in (*MONOCHROME, "PALETTE COLOR")
    if samples == 3 and grey and stored(data) < asked(data):
        samples = data.SamplesPerPixel = 1
    if samples == 1 and not grey:
        data.SamplesPerPixel = 3
        if stored(data) < asked(data):
            data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        samples = int(data.SamplesPerPixel)
    if samples > 1 and "PlanarConfiguration" not in data:
        data.PlanarConfiguration = 0


def _mend_look_ups(data: Any, path: Path) -> None:
    if any(name in data for name in RESCALE):
        slope, intercept = (first_number(data, name) for name in RESCALE)
        for name, value in zip(RESCALE, (slope, intercept), strict=True):
            if value is None and name in data:
                raise _refusal(path, name, "holds no number")
        # One of the two alone, and a slope of 0, which no scanner means.
        data.RescaleSlope, data.RescaleIntercept = slope or 1.0, intercept or 0.0
    function = str(data.get("VOILUTFunction", "LINEAR")).strip().upper()
    if function not in VOI_FUNCTIONS:
        del data.VOILUTFunction
    center, width = (first_number(data, name) for name in WINDOW)
    # Display tags: without a window that can be used a viewer shows the whole range.
    least = 0 if function in ("LINEAR_EXACT", "SIGMOID") else 0.999
    if center is None or width is None or width <= least:
        for name in WINDOW:
            data.pop(name, None)
    for _, name in LOOK_UPS:
        if name in data and (
            _is_empty(data, name)
            or any(not data[name].value[0].get(part) for part in ("LUTDescriptor", "LUTData"))
        ):
            del data[name]


def _decode(data: Any, path: Path) -> NDArray[Any]:
    try:
        if data.PhotometricInterpretation.startswith("YBR") and data.BitsAllocated > 8:
            # Luminance alone: pydicom turns 8 bits into colour.
            luminance: NDArray[Any] = pixel_array(data, raw=True)[..., 0]
            return luminance
        values: NDArray[Any] = data.pixel_array
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        # Texts of pydicom may quote values, which may be a patient's: only the tag is passed on.
        found = re.search(r"\(([0-9a-fA-F]{4}),\s*([0-9a-fA-F]{4})\)", str(error))
        tag = keyword_for_tag(f"{found[1]}{found[2]}") if found else ""
        if not tag and isinstance(error, NotImplementedError):
            tag = "TransferSyntaxUID"
        if not tag:
            raise
        raise _refusal(path, tag, "has a value that the decoder does not know") from error
    except RuntimeError as error:
        if "missing dependencies" not in str(error) and "missing" not in str(error):
            raise
        raise _refusal(path, "TransferSyntaxUID", "asks for a codec that is missing") from error
    if data.PhotometricInterpretation == "PALETTE COLOR":
        values = apply_color_lut(values, data)
    return values


def _displayed(values: NDArray[Any], data: Any, path: Path) -> NDArray[Any]:
    # Eight bits without window or look-up are display values already and stay as stored.
    changed = {"WindowCenter", "RescaleSlope", *(tag for _, tag in LOOK_UPS)} & set(data.dir())
    if data.BitsStored == 8 and not changed:
        return values
    for apply, tag in LOOK_UPS:
        # Without a table it would invert by PresentationLUTShape, with the padding: done later.
        if tag == "PresentationLUTSequence" and tag not in data:
            continue
        try:
            values = apply(values, data)
        except Exception as error:  # of broken look-up tables: pydicom raises many kinds
            raise _refusal(path, tag, "holds a table that cannot be used") from error
    return values
