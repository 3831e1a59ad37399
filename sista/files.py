"""Atomic writes, JSON and content hashes."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from sista.errors import UserError, unwritable

_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it on success, remove it on error.

    The temporary path may be written as a file or made as a folder. A reader never sees a
    half-written result, whenever the process is killed.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    target = Path(path)
    # The suffix is kept: many writers choose the format by it.
    temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}.tmp{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_file():
            # Some writers make private files; results are for the whole group of a cluster.
            temporary.chmod(0o666 & ~_UMASK)
        if temporary.is_dir() and target.is_dir():
            shutil.rmtree(target)
        os.replace(temporary, target)
    except UserError:
        raise
    except Exception as error:
        elsewhere = getattr(error, "filename", None) not in (None, str(temporary))
        reason = unwritable(error)
        if reason is None or (elsewhere and isinstance(error, PermissionError)):
            raise
        raise UserError(f"{target}: {reason}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_json(path: Path | str, value: object) -> None:
    """Write `value` as readable JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, default=str) + "\n")


def regular(path: Path | str) -> Path:
    """Return the path; what is there must be a file, since opening a pipe would wait for ever.

    Raises:
        UserError: a folder, a pipe or a device is there. Nothing at all passes: opening it fails.
    """
    file = Path(path)
    if file.exists() and not file.is_file():
        raise UserError(f"{path}: is no regular file, but a folder, a pipe or a device")
    return file


def within(folder: Path, name: str) -> Path:
    """Return the path of a file that a table, a record or an archive names, below its folder.

    Args:
        folder: to which the file belongs.
        name: relative to it, with /.

    Raises:
        UserError: the name is absolute or climbs out, or a link on the way leads out.
    """
    pure = PurePosixPath(name)
    if not name or "\0" in name or pure.is_absolute() or ".." in pure.parts:
        raise UserError(f"{folder}: {name!r} leads out of this folder")
    path = folder / pure
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path}: a link leads out of {folder}")
    return path


def read_json(path: Path | str) -> Any:
    """Read a JSON file; a missing or broken one is a `UserError` that names it."""
    regular(path)
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not valid JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not text, byte {error.start} ({error.reason})") from error


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    with regular(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: object) -> str:
    """Return 12 hex digits that name a JSON-like value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
