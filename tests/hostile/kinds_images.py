"""Bad films: pictures and DICOM files, whole but not what a reader expects, and bombs."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.hostile.kinds_files import Damage, swap
from tests.raw_trees import dicom, film


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, data: bytes) -> bytes:
    """Return a PNG with any header; `data` are its rows, packed here."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(data)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _bytes(data: bytes) -> Damage:
    return lambda path: (path.write_bytes(data) and None) or None


def _text_bomb() -> bytes:
    whole = png(16, 20, 8, 0, bytes(17 * 20))
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))
    return whole[:33] + text + whole[33:]


def _saved(make: Callable[[], Image.Image], form: str, **options: Any) -> Damage:
    return lambda path: make().save(path, form, **options)


def _frames(path: Path) -> None:
    pages = [Image.fromarray(film(n)) for n in range(3)]
    pages[0].save(path, "GIF", save_all=True, append_images=pages[1:])


def _nan() -> Image.Image:
    values = film(1).astype(np.float32)
    values[3, 3] = np.nan
    return Image.fromarray(values)


def _infinite() -> Image.Image:
    return Image.fromarray(np.full((20, 16), np.inf, np.float32))


# For a film in any picture format: the reader looks at the content, not at the name.
PICTURES: dict[str, Damage] = {
    "a PNG bomb of 60,000 px": _bytes(png(60_000, 60_000, 8, 0, bytes(1000))),
    "a PNG of 12,000 px without data": _bytes(png(12_000, 12_000, 8, 0, bytes(1000))),
    "a PNG of width 0": _bytes(png(0, 20, 8, 0, bytes(100))),
    "a PNG of 2^31 px": _bytes(png(2**31 - 1, 2**31 - 1, 8, 0, bytes(100))),
    "a PNG of unknown colour": _bytes(png(16, 20, 8, 5, bytes(1000))),
    "a PNG without data": _bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IEND", b"")),
    "a PNG with a text bomb": lambda path: _bytes(_text_bomb())(path),
    "a GIF of several frames": _frames,
    "a TIFF of NaN": _saved(_nan, "TIFF"),
    "a TIFF of infinity": _saved(_infinite, "TIFF"),
    "an SVG": _bytes(b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'),
    "PostScript": _bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n"),
}
# Read as valid: what comes out is checked by the tests of the reader.
VALID_PICTURES: dict[str, Damage] = {
    "CMYK": _saved(lambda: Image.fromarray(film(1)).convert("CMYK"), "JPEG"),
    "a palette": _saved(lambda: Image.fromarray(film(1)).convert("P"), "PNG"),
    "16 bits in colour": _bytes(png(16, 20, 16, 2, bytes(20 * (1 + 16 * 6)))),
    "one pixel": _saved(lambda: Image.fromarray(film(1, 1, 1)), "PNG"),
    "one line": _saved(lambda: Image.fromarray(film(1, 1, 5000)), "PNG"),
}


def edit(change: Callable[[pydicom.Dataset], None], **options: Any) -> Damage:
    """Return a damage of a DICOM file; it stays one."""

    def damage(path: Path) -> None:
        data = pydicom.dcmread(path)
        with pydicom.config.disable_value_validation():
            change(data)
            data.save_as(path, enforce_file_format=True, **options)

    return damage


def _set(**values: object) -> Damage:
    def change(data: pydicom.Dataset) -> None:
        for name, value in values.items():
            setattr(data, name, value)

    return edit(change)


def _word(name: str, **others: object) -> Damage:
    """Return a damage that puts a letter into a number: pydicom itself writes none."""

    def damage(path: Path) -> None:
        _set(**{name: "7777", **others})(path)
        swap("7777", "x   ")(path)

    return damage


def _item(length: int) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, length)


def _gone(name: str) -> Damage:
    return edit(lambda data: delattr(data, name))


def _packed(syntax: UID, code: bytes) -> Damage:
    def change(data: pydicom.Dataset) -> None:
        data.file_meta.TransferSyntaxUID = syntax
        # pydicom writes no empty frame: then the table of offsets stands alone.
        data.PixelData = encapsulate([code]) if code else _item(0)
        data["PixelData"].is_undefined_length = True

    return edit(change)


def _jpeg(damage: Callable[[bytes], bytes]) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    Image.fromarray(film(1, 64, 64)).save(stream, "JPEG")
    return damage(stream.getvalue())


def _flipped(code: bytes) -> bytes:
    changed = bytearray(code)
    for at in range(200, len(code) - 2, 11):
        changed[at] ^= 0x11
    return bytes(changed)


def _deep(told: bool) -> Damage:
    """Return 400 sequences one in the other; pydicom's writer takes ages for so many.

    Args:
        told: with their lengths, so that a reader may leave them for later.
    """
    head = struct.pack("<HH2sH", 0x0008, 0x1110, b"SQ", 0)

    def sequence(inside: bytes) -> bytes:
        if told:
            item = _item(len(inside)) + inside
            return head + struct.pack("<I", len(item)) + item
        ends = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        return head + struct.pack("<I", 0xFFFFFFFF) + _item(0xFFFFFFFF) + inside + ends

    def damage(path: Path) -> None:
        _set(ReferencedStudySequence=pydicom.Sequence([]))(path)
        nested = b""
        for _ in range(400):
            nested = sequence(nested)
        content = path.read_bytes()
        empty = head + struct.pack("<I", 0)
        assert empty in content
        path.write_bytes(content.replace(empty, nested, 1))

    return damage


def _bomb(path: Path) -> None:
    """A deflated data set that unpacks to 400 MB."""
    head = path.read_bytes()
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = path.read_bytes()[:340]
    # In pieces: the trial's own memory is limited.
    pieces = [packer.compress(piece) for piece in (head[200:300], *[bytes(1 << 20)] * 400)]
    path.write_bytes(start + b"".join(pieces) + packer.flush())


def _float_pixels(path: Path) -> None:
    dicom(path, film(1))
    data = pydicom.dcmread(path)
    values = np.full((20, 16), np.nan, np.float32)
    del data.PixelData
    data.BitsAllocated = 32
    data.FloatPixelData = values.tobytes()
    data.save_as(path, enforce_file_format=True)


DICOM: dict[str, Damage] = {
    "without pixels": _gone("PixelData"),
    "without rows": _gone("Rows"),
    "rows 0": _set(Rows=0),
    "rows too many": _set(Rows=65535, Columns=65535),
    "bits 7": _set(BitsAllocated=7),
    "bits stored above allocated": _set(BitsStored=40, HighBit=39),
    "samples 2": _set(SamplesPerPixel=2),
    "several frames": _set(NumberOfFrames="9"),
    "frames a word": _word("NumberOfFrames"),
    "colour of too few bytes": _set(SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    "floating point, NaN": _float_pixels,
    "slope NaN": _set(RescaleSlope="nan", RescaleIntercept="0"),
    "slope a word": _word("RescaleSlope", RescaleIntercept="0"),
    "window of width 0": _set(WindowCenter="0", WindowWidth="0"),
    "an empty syntax": edit(
        lambda data: setattr(data.file_meta, "TransferSyntaxUID", UID("1.2.3.4"))
    ),
    "JPEG of noise": _packed(JPEGBaseline8Bit, bytes(range(256)) + b"\xff\xd9"),
    "JPEG damaged": _packed(JPEGBaseline8Bit, _jpeg(_flipped)),
    "JPEG of another size": _packed(JPEGBaseline8Bit, _jpeg(lambda code: code)),
    "JPEG without its tables": _packed(JPEGBaseline8Bit, b"\xff\xd8\xff\xda" + _jpeg(bytes)[300:]),
    "JPEG lossless of noise": _packed(JPEGLosslessSV1, b"\xff\xd8" + bytes(200) + b"\xff\xd9"),
    "JPEG 2000 of noise": _packed(JPEG2000Lossless, b"\xff\x4f\xff\x51" + bytes(range(200))),
    "JPEG-LS of noise": _packed(JPEGLSLossless, b"\xff\xd8\xff\xf7" + bytes(200)),
    "RLE of noise": _packed(RLELossless, bytes(range(64)) * 4),
    "no frame inside": _packed(JPEGBaseline8Bit, b""),
    "sequences in sequences": _deep(told=False),
    "sequences in sequences, lengths told": _deep(told=True),
    "a deflated bomb": _bomb,
    "patient of control characters": _set(PatientID="\x1b[2J\x07evil"),
    "patient of 10,000 letters": _set(PatientID="x" * 10_000),
}
# Shown as a viewer does, see `test_what_a_viewer_ignores_is_ignored`.
VALID_DICOM = (
    *("sequences in sequences", "sequences in sequences, lengths told"),
    *("window of width 0", "bits stored above allocated"),
    # These two change the first of 128 bytes that DICOM leaves free (PS3.10, 7.1).
    *("a zip", "a gzip"),
)
