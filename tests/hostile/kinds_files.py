"""Kinds of damage that any file can have, and any text: each is a function of its path.

A kind in `ACCEPTED` may be taken as valid (a byte order mark, other line ends).
"""

import gzip
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], None]


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
    make(path)


def _place(make: Callable[[Path], object]) -> Damage:
    return lambda path: _replace(path, make)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("x")


def _bytes(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: (path.write_bytes(change(path.read_bytes())) and None) or None


def _noise(data: bytes) -> bytes:
    return random.Random(0).randbytes(max(len(data), 64))


def _holes(data: bytes) -> bytes:
    """Return the bytes with every 97th one flipped."""
    changed = bytearray(data)
    changed[7::97] = bytes(b ^ 0x5A for b in changed[7::97])
    return bytes(changed)


# What stands at a file's place.
PLACES: dict[str, Damage] = {
    "missing": lambda path: path.unlink(),
    "a folder": _place(_folder),
    "a FIFO": _place(os.mkfifo),
    "a link to itself": _place(lambda path: path.symlink_to(path.name)),
    "a link to nothing": _place(lambda path: path.symlink_to("nowhere")),
    "a link to an endless device": _place(lambda path: path.symlink_to("/dev/zero")),
}
# Of a user without rights; the case sets `nobody`.
UNREADABLE: dict[str, Damage] = {
    "unreadable": lambda path: path.chmod(0),
    "in an unreadable folder": lambda path: path.parent.chmod(0),
}
# What stands in a file, whatever its format.
BYTES: dict[str, Damage] = {
    "empty": lambda path: (path.write_bytes(b"") and None) or None,
    "cut in half": _bytes(lambda data: data[: len(data) // 2]),
    "cut at its end": _bytes(lambda data: data[: -max(3, len(data) // 50)]),
    "its end alone": _bytes(lambda data: data[len(data) // 2 :]),
    "zeros": _bytes(lambda data: bytes(len(data))),
    "noise": _bytes(_noise),
    "holes": _bytes(_holes),
    "a web page": _bytes(lambda data: b"<!DOCTYPE html><html><body>Log in</body></html>\n"),
    "an LFS pointer": _bytes(
        lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    ),
    "a zip": _bytes(lambda data: b"PK\x03\x04" + data[4:]),
    "a gzip": _bytes(lambda data: b"\x1f\x8b\x07\x00" + data[4:]),
    "a pickle": _bytes(lambda data: PICKLE),
}


def _zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "something else")


# Whole files of another format, for those whose first bytes nobody reads.
OTHERS: dict[str, Damage] = {
    "a whole zip": _zipped,
    "a whole gzip": lambda path: (path.write_bytes(gzip.compress(b"else")) and None) or None,
}
# Runs `touch CANARY` when it is unpickled.
PICKLE = b"cposix\nsystem\n(S'touch CANARY ../CANARY'\ntR."


def _text(change: Callable[[str], str]) -> Damage:
    return _bytes(lambda data: change(data.decode()).encode())


# Of text files alone.
TEXTS: dict[str, Damage] = {
    "UTF-16": _bytes(lambda data: data.decode().encode("utf-16")),
    "UTF-32": _bytes(lambda data: data.decode().encode("utf-32")),
    "Latin-1": _bytes(lambda data: b"\xe4\xf6\xfc\xff" + data),
    "a cut character": _bytes(lambda data: data + b"\xc3"),
    "NUL bytes": _bytes(lambda data: data[: len(data) // 2] + b"\0\0" + data[len(data) // 2 :]),
    "only blanks": _text(lambda text: " \n \n\t\n"),
    "a line of 2 MB": _text(lambda text: text + "x" * 2_000_000),
    "control characters": _text(lambda text: "\x1b]0;title\x07\x1b[2J" + text),
}


def swap(old: str, new: str, count: int = 1) -> Damage:
    """Return a damage that puts a text for another one, which must stand there."""

    def damage(path: Path) -> None:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        assert old in text, f"{path}: no {old!r}"
        path.write_bytes(text.replace(old, new, count).encode("utf-8", "surrogateescape"))

    return damage


def text(content: str | bytes) -> Damage:
    """Return a damage that puts a whole content."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return lambda path: (path.write_bytes(data) and None) or None
