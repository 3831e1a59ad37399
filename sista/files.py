"""Atomic writes, the guard of everything that is read, JSON and content hashes."""

import hashlib
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sista.errors import UserError, check_limit, unreadable, unwritable

# What a killed run leaves of `atomic`.
LEFTOVER = re.compile(r"^\..+\.[0-9a-z_]{8}\.tmp(\..+)?$")
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


@contextmanager
def reading(path: Path | str, remedy: str = "get it again") -> Iterator[None]:
    """Guard what opens and parses a file: whatever is raised becomes one line that names it.

    Args:
        path: of the file; a folder, a pipe or a device in its place is refused, since opening a
            pipe waits for ever.
        remedy: what to do where the file is not there, or its content is damaged.

    Raises:
        UserError: names the file and the remedy.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
            raise UserError(f"{path}: is {kind}, not a file; {remedy}")
        yield
    except (UserError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    # Parsers raise whatever they like (Rust's panics are no Exception), and their texts may quote
    # a patient's values: the type is told, the text is not.
    except BaseException as error:
        raise UserError(unreadable(path, error, remedy)) from error


def check_size(path: Path | str) -> None:
    """Refuse a file that is larger than the limit on bytes, before it is read into memory.

    Raises:
        UserError: names size, limit and how to raise it.
    """
    check_limit("SISTA_MAX_BYTES", os.stat(path).st_size, f"{path}")


def read_text(path: Path | str, remedy: str = "get it again") -> str:
    """Read a text file in UTF-8, a byte order mark left out; what is wrong with it is told.

    Raises:
        UserError: names the file and the remedy.
    """
    with reading(path, remedy):
        check_size(path)
        return Path(path).read_text(encoding="utf-8-sig")


def write_json(path: Path | str, value: object) -> None:
    """Write `value` as readable JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, default=str) + "\n")


def read_json(path: Path | str, remedy: str = "delete it and run again") -> Any:
    """Read a JSON file; a missing or broken one is a `UserError` that names it."""
    with reading(path, remedy):
        check_size(path)
        text = Path(path).read_text(encoding="utf-8")
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{error.lineno}: not valid JSON ({error.msg})") from error


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    with reading(path, "check its rights"), Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: object) -> str:
    """Return 12 hex digits that name a JSON-like value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
