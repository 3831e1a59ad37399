"""Image files of the raw layouts: JPEG, PNG and DICOM in several flavours."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)

from sista.phantom.canvas import Field

# Share of films per DICOM flavour: (photometric interpretation, bits stored, compressed).
FLAVOURS = (
    (("MONOCHROME2", 8, True), 0.55),
    (("MONOCHROME2", 12, False), 0.20),
    (("MONOCHROME1", 12, False), 0.15),
    (("MONOCHROME1", 8, False), 0.10),
)
JPEG_QUALITY = 92
WINDOW = (700, 2600)


def to_bytes(pixels: Field) -> NDArray[np.uint8]:
    """Return brightness 0..1 as 8-bit grey."""
    grey: NDArray[np.uint8] = np.rint(pixels * np.float32(255)).astype(np.uint8)
    return grey


def save_image(path: Path, pixels: Field) -> None:
    """Write an 8-bit grey JPEG or PNG, by the suffix of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(to_bytes(pixels))
    if path.suffix == ".png":
        image.save(path, compress_level=2)
    else:
        image.save(path, quality=JPEG_QUALITY)


def save_dicom(
    path: Path, pixels: Field, patient: dict[str, str], uids: tuple[str, str, str], flavour: float
) -> None:
    """Write one computed radiograph.

    Args:
        path: file to write.
        pixels: brightness 0..1, `[H, W]`.
        patient: PatientID, PatientSex, PatientAge and ViewPosition.
        uids: study, series and SOP instance UID.
        flavour: number in 0..1 that picks one of `FLAVOURS`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    edges = np.cumsum([share for _, share in FLAVOURS])
    choice = int(np.searchsorted(edges[:-1], flavour, side="right"))
    photometric, bits, compressed = FLAVOURS[choice][0]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = uids[2]
    meta.TransferSyntaxUID = JPEGBaseline8Bit if compressed else ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = ComputedRadiographyImageStorage
    data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = uids
    data.Modality = "CR"
    data.BodyPartExamined = "CHEST"
    for key, value in patient.items():
        setattr(data, key, value)
    data.PixelSpacing = ["1.12", "1.12"]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = photometric
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated = 16 if bits > 8 else 8
    data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits - 1, 0
    _set_pixels(data, 1 - pixels if photometric == "MONOCHROME1" else pixels, bits, compressed)
    data.save_as(path, enforce_file_format=True)


def _set_pixels(data: Dataset, pixels: Field, bits: int, compressed: bool) -> None:
    if bits > 8:
        # The window spans the film's brightness inside a wider 12-bit range, as detectors do.
        low, width = WINDOW
        data.WindowCenter, data.WindowWidth = str(low + width / 2), str(width)
        stored = np.rint(low + pixels.astype(np.float64) * (width - 1)).astype("<u2")
        data.PixelData = stored.tobytes()
    elif compressed:
        buffer = io.BytesIO()
        Image.fromarray(to_bytes(pixels)).save(buffer, "JPEG", quality=JPEG_QUALITY)
        data.PixelData = encapsulate([buffer.getvalue()])
        # Compressed pixels come in fragments and name no length (DICOM PS3.5, A.4).
        data["PixelData"].is_undefined_length = True
        data.LossyImageCompression = "01"
    else:
        data.PixelData = to_bytes(pixels).tobytes()


def uid(*parts: object) -> str:
    """Return a DICOM UID that depends on `parts` alone."""
    return str(generate_uid(entropy_srcs=[str(part) for part in parts]))
