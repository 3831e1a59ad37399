"""Atomic writes, the guard of everything that is read, JSON and content hashes."""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from sista.errors import UserError, check_limit, unreadable, unwritable

# What a killed run leaves of `atomic`.
LEFTOVER = re.compile(r"^\..+\.[0-9a-z_]{8}\.tmp(\..+)?$")
# Of a list: a name of a path's length, and labels beside it.
LONGEST_LINE = 10_000
# Room for what is added to the name of a result: states, parts, unfinished files.
LONGEST_NAME = 200
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it on success, remove it on error.

    The temporary path may be written as a file or made as a folder. A reader never sees a
    half-written result, whenever the process is killed.

    Raises:
        UserError: the disk is full or the folder cannot be written, or a pipe or device is there.
    """
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        # Renamed onto /dev/null it would take the place of the device, for all who use it.
        raise UserError(f"{path}: is a pipe or device; name a file of your own")
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
        elif os.path.lexists(temporary):
            with suppress(OSError):
                temporary.unlink()


def check_place(out: Path, *, folder: bool = False) -> None:
    """Refuse a place where nothing can be written, before any work begins.

    Args:
        out: given by `--out`.
        folder: a folder is written there, not a file.

    Raises:
        UserError: names the place and why.
    """
    # Not of `Path`, whose questions raise for long names and closed folders.
    above = next((p for p in out.parents if os.path.exists(p)), Path())
    if not os.path.isdir(above):
        raise UserError(f"--out {out}: {above} is a file; give a place in a folder")
    if len(os.fsencode(out.name)) > LONGEST_NAME:
        raise UserError(f"--out {out}: more than {LONGEST_NAME} letters; give a shorter name")
    if not folder and os.path.isdir(out):
        raise UserError(f"--out {out}: is a folder; give the file to write")


def remove_leftovers(target: Path) -> None:
    """Remove the unfinished files and folders that killed runs of the same result left beside it.

    Of verbs that nobody runs twice at a time; stages wait for each other, see `sista.runs.record`.
    """
    for path in target.parent.glob(f".{target.stem}.*"):
        if LEFTOVER.match(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


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
        regular(path, remedy)
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


def looks_whole(end: str, before: Collection[str]) -> bool:
    """Return whether a file that stops without a line end was hardly cut inside its last word.

    Official lists do stop so (NIH's). A word that stood at the end of a line before is whole, and a
    file name with the ending of one; of numbers only those that are all equally long.

    Args:
        end: last word of the file.
        before: last words of other lines.
    """
    ending = PurePosixPath(end).suffix
    if ending[1:].isalpha():
        return any(word.endswith(ending) for word in before)
    numbers = any(letter.isdigit() for letter in end)
    return end in before and (not numbers or len({len(word) for word in before}) == 1)


def read_lines(path: Path | str, remedy: str = "get it again") -> list[str]:
    """Read the lines of a list; without a line end its last line must look whole.

    Raises:
        UserError: names the file, and the row that no list holds; or there is no row.
    """
    text = read_text(path, remedy)
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path} row {number}: {len(line)} letters, so it is no list; {remedy}")
        if not line.isprintable() and not line.replace("\t", "").isprintable():
            raise UserError(f"{path} row {number}: holds control characters; {remedy}")
    if not text.strip():
        raise UserError(f"{path}: an empty list; {remedy}")
    ends = [(line.split() or [""])[-1] for line in lines]
    if lines and not text.endswith(("\n", "\r")) and not looks_whole(ends[-1], ends[:-1]):
        raise UserError(
            f"{path} row {len(lines)}: the file stops without a line end, so it may be cut; "
            f"{remedy}, or add the line end where it is whole"
        )
    return lines


def walk(root: Path, *, links: bool = False) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield folder, folders and files in it, as `os.walk`, from a folder down.

    Args:
        root: the folder; nothing is yielded where it is missing.
        links: go into folders that are symbolic links.

    Raises:
        UserError: a folder cannot be listed; `os.walk` leaves out what it holds.
    """

    def refuse(error: OSError) -> None:
        # Of another process, and gone by now.
        if not isinstance(error, FileNotFoundError):
            raise UserError(unreadable(root, error, "look at the folder")) from error

    return os.walk(root, onerror=refuse, followlinks=links)


def write_json(path: Path | str, value: object) -> None:
    """Write `value` as readable JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, default=str) + "\n")


def regular(path: Path | str, remedy: str = "get it again") -> Path:
    """Return the path; what is there must be a file, since opening a pipe would wait for ever.

    Raises:
        UserError: a folder, a pipe or a device is there. Nothing at all passes: opening it fails.
    """
    file = Path(path)
    if file.exists() and not file.is_file():
        kind = "a folder" if file.is_dir() else "a pipe or device"
        raise UserError(f"{path}: is no regular file, but {kind}; {remedy}")
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
        raise UserError(f"{folder}: {name[:200]!r} leads out of this folder; make it again")
    path = folder / pure
    try:
        leads_out = not path.resolve().is_relative_to(folder.resolve())
    # A link to itself; a name that is too long.
    except (OSError, RuntimeError):
        leads_out = True
    if leads_out:
        raise UserError(f"{path}: a link leads out of {folder}; put the file itself there")
    return path


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
