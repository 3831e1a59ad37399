"""Damaged NumPy files: the images of prepared data."""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.kinds_files import PICKLE, Damage


def array(change: Callable[[np.ndarray], Any]) -> Damage:
    """Return a damage of the array; the file stays a valid .npy."""
    return lambda path: np.save(path, change(np.load(path)))


def _objects(path: Path) -> None:
    """Write an array whose pickle runs a command."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|O", "fortran_order": False, "shape": (36, 96, 96)}
    )
    path.write_bytes(stream.getvalue() + PICKLE)


def _header(text: str) -> Damage:
    """Return a damage that puts another header in front of the same data."""

    def damage(path: Path) -> None:
        data = path.read_bytes()
        rest = data[10 + struct.unpack("<H", data[8:10])[0] :]
        head = text.encode().ljust(117) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + rest)

    return damage


IMAGES: dict[str, Damage] = {
    "a pickle inside": _objects,
    "a whole pickle": lambda path: (path.write_bytes(pickle.dumps({"a": 1})) and None) or None,
    "a header that calls": _header("__import__('os').system('touch CANARY')"),
    "a header of deep nesting": _header("{'descr': " + "(" * 50 + ")" * 50 + "}"),
    "a header of a huge shape": _header(
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 96, 96), }"
    ),
    "a header of a negative shape": _header(
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 96, 96), }"
    ),
    "an unknown version": lambda path: (
        (path.write_bytes(b"\x93NUMPY\x09" + path.read_bytes()[7:]) and None) or None
    ),
    "numbers of floating point": array(lambda found: found.astype(np.float32)),
    "complex numbers": array(lambda found: found.astype(np.complex64)),
    "texts": array(lambda found: found.astype("U1")),
    "one image less": array(lambda found: found[:-1]),
    "one image more": array(lambda found: np.concatenate([found, found[:1]])),
    "no image": array(lambda found: found[:0]),
    "one axis less": array(lambda found: found[0]),
    "one axis more": array(lambda found: found[..., None]),
    "no square": array(lambda found: found[:, :, :-1]),
    "another side": array(lambda found: found[:, ::2, ::2]),
    "other order in memory": array(np.asfortranarray),
    "an archive of arrays": lambda path: _archive(path),
}


def _archive(path: Path) -> None:
    found = np.load(path)
    with path.open("wb") as stream:
        np.savez(stream, found)
