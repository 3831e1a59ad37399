"""Everything that can be read in a file, also where it is packed: for tests of what is private."""

import base64
import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
from PIL import Image

URI = re.compile(rb"data:[\w/+.-]+;base64,([A-Za-z0-9+/=]+)")
STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
DEEPEST = 6


def texts(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a file, then those of all that is packed in it."""
    yield data
    if data.startswith(b"\x93NUMPY"):
        # Words of an array have four bytes a letter.
        yield data.replace(b"\0", b"")
    # JSON and XML may write a letter as its number.
    if b"\\u" in data:
        yield re.sub(
            rb"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)).encode("utf-8", "ignore"), data
        )
    if depth < DEEPEST:
        for part in _parts(data):
            yield from texts(part, depth + 1)


def _parts(data: bytes) -> Iterator[bytes]:
    start = data[:8]
    if start.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                yield info.filename.encode() + info.comment
                yield archive.read(info)
    elif start.startswith(b"PAR1"):
        yield from _parquet(data)
    elif start.startswith(PICTURES):
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            yield json.dumps({str(k): str(v) for k, v in image.info.items()}).encode()
            yield str(dict(image.getexif())).encode()
    elif start.startswith(b"%PDF"):
        for stream in STREAM.findall(data):
            yield from _unpacked(zlib.decompressobj().decompress, stream)
    elif start.startswith(b"\x1f\x8b"):
        yield from _unpacked(gzip.decompress, data)
    elif start.startswith(b"BZh"):
        yield from _unpacked(bz2.decompress, data)
    elif start.startswith(b"\xfd7zXZ"):
        yield from _unpacked(lzma.decompress, data)
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                yield member.name.encode()
                if stream := tar.extractfile(member):
                    yield stream.read()
    else:
        for found in URI.findall(data):
            yield base64.b64decode(found + b"==")


def _unpacked(unpack, data: bytes) -> Iterator[bytes]:
    try:
        yield unpack(data)
    except (OSError, zlib.error, lzma.LZMAError, EOFError):
        # Not packed so: its bytes were given already.
        return


def _parquet(data: bytes) -> Iterator[bytes]:
    file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
    yield str(file.schema_arrow.metadata).encode()
    for name, column in zip(file.schema_arrow.names, file.read().columns, strict=True):
        yield f"{name} {column.to_pylist()}".encode()


def found(folder: Path, words: list[str], but: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Return which words stand in which files of a folder, in names too, whatever their case.

    Args:
        folder: looked through.
        words: looked for.
        but: patterns of paths, relative to the folder, that may hold them.
    """
    sought = re.compile(b"|".join(re.escape(word.lower().encode()) for word in words))
    held: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(_matches(name, each) for each in but):
            continue
        seen = set(sought.findall(name.as_posix().lower().encode()))
        if path.is_file() and not path.is_symlink():
            for text in texts(path.read_bytes()):
                seen |= set(sought.findall(text.lower()))
        if seen:
            held[name.as_posix()] = sorted(word.decode() for word in seen)
    return held


def _matches(name: Path, pattern: str) -> bool:
    # As `full_match` of later Pythons: ** goes through folders.
    text = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.fullmatch(text, name.as_posix()) is not None
