"""Build a local conda channel that holds this machine's own CPython and its bundled pip.

Part of the test double for conda: not a distribution, the package links against the host's system
libraries. Usage: channel.py FOLDER
"""

import asyncio
import ensurepip
import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from rattler.index import index_fs

SKIPPED = {"test", "tests", "idle_test", "__pycache__", "site-packages", "idlelib", "tkinter"}
SHORT = f"{sys.version_info.major}.{sys.version_info.minor}"
FULL = f"{SHORT}.{sys.version_info.micro}"
PIP = """#!/bin/sh
exec "$(dirname "$0")/python" -m pip "$@"
"""


def interpreter(base: Path) -> Iterator[Path]:
    """Yield the files of a CPython, relative to its prefix."""
    for name in ("python", "python3", f"python{SHORT}"):
        yield Path("bin", name)
    yield from (path.relative_to(base) for path in base.glob("lib/libpython*.so*"))
    for folder, folders, names in os.walk(base / "lib" / f"python{SHORT}"):
        folders[:] = [f for f in folders if f not in SKIPPED and not f.startswith("config-")]
        for name in names:
            if not name.endswith((".a", ".pyc")):
                yield (Path(folder) / name).relative_to(base)


def unpack_pip(folder: Path) -> str:
    """Unpack the pip that this CPython carries into a prefix and return its version."""
    wheel = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    packages = folder / "lib" / f"python{SHORT}" / "site-packages"
    zipfile.ZipFile(wheel).extractall(packages)  # noqa: S202 (it came with this Python)
    command = folder / "bin" / "pip"
    command.parent.mkdir()
    command.write_text(PIP)
    command.chmod(0o755)
    return wheel.name.split("-")[1]


def described(base: Path, name: Path) -> dict[str, object]:
    """Return what conda wants to know about a file of a package."""
    path = base / name
    data = path.read_bytes() if path.exists() else b""
    kind = "softlink" if path.is_symlink() else "hardlink"
    entry: dict[str, object] = {"_path": str(name), "path_type": kind}
    entry |= {"sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
    if kind == "hardlink" and str(base).encode() in data and b"\0" not in data[:4096]:
        entry |= {"prefix_placeholder": str(base), "file_mode": "text"}
    return entry


def write_package(
    channel: Path, name: str, version: str, base: Path, files: Iterable[Path], needs: list[str]
) -> None:
    """Write one package of files below a prefix.

    Args:
        channel: folder of the channel.
        name: of the package.
        version: of the package.
        base: prefix that the files lie in.
        files: relative to the prefix.
        needs: specifications of other packages.
    """
    chosen = sorted(set(files))
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": needs}
    index |= {"subdir": "linux-64", "arch": "x86_64", "platform": "linux"}
    paths = {"paths": [described(base, file) for file in chosen], "paths_version": 1}
    facts = {"index.json": json.dumps(index), "paths.json": json.dumps(paths)}
    facts["files"] = "".join(f"{file}\n" for file in chosen)
    (channel / "linux-64").mkdir(parents=True, exist_ok=True)
    package = channel / "linux-64" / f"{name}-{version}-0.tar.bz2"
    with tarfile.open(package, "w:bz2", compresslevel=1) as archive:
        for fact, text in facts.items():
            member = tarfile.TarInfo(f"info/{fact}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for file in chosen:
            archive.add(base / file, str(file))


def main(channel: Path) -> None:
    """Write both packages and the channel's index."""
    base = Path(sys.base_prefix).resolve()
    write_package(channel, "python", FULL, base, interpreter(base), [])
    with tempfile.TemporaryDirectory() as folder:
        version = unpack_pip(Path(folder))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        names = [path.relative_to(folder) for path in files]
        write_package(channel, "pip", version, Path(folder), names, [f"python {SHORT}.*"])
    (channel / "noarch").mkdir(exist_ok=True)
    asyncio.run(index_fs(channel, write_zst=False, write_shards=False, force=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
