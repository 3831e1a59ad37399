"""The error that is shown to users without a traceback, the limits that name themselves, and words.

Exit codes of `sista`: 0 done; 1 an error that a user can mend, or a check that found something;
2 a wrong command line; 70 a fault of this program; 75 stopped with its state saved (see
`sista.engine.state`); 130 and 141 ended by Ctrl-C and by a closed pipe.
"""

import errno
import math
import os
import re
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Sequence

MENDABLE, WRONG_COMMAND, FAULT, INTERRUPTED, PIPE_CLOSED = 1, 2, os.EX_SOFTWARE, 130, 141

# Words become parts of paths, commands, tables and pages: no blank, no quote, no sign that a shell,
# a spreadsheet, a page or an option of a command would take for its own.
WORD = r"[A-Za-z0-9_][A-Za-z0-9._+@-]{0,99}"
# As long as a path may be; more digits than any number that is asked for has.
LONGEST_ARGUMENT, LONGEST_NUMBER = 4000, 50
# Letters of the errors of one file.
LONGEST_TOLD, LONGEST_REMEDY = 1000, 300
# NumPy's generators take no greater seed; no machine has more threads.
MAX_SEED, MAX_THREADS = 2**32 - 1, 4096
# Of settings of methods and heads, by their names, where their file names no `RANGES` of its own.
USUAL_RANGES: dict[str, tuple[float, float]] = {
    r"w_\w+": (0, 1e6),
    r"theta\w*": (-1, 1),
    r"(?!learn_)(\w+_)?temperature": (1e-6, 1e6),
    r"width": (1, 65_536),
}
# What one input may hold; an environment variable of that name raises it.
LIMITS = {
    "SISTA_MAX_PIXELS": (2**28, "pixels of one image"),
    "SISTA_MAX_BYTES": (2**32, "bytes of one file that is read into memory"),
    "SISTA_MAX_ROWS": (50_000_000, "rows of one table"),
    "SISTA_MAX_RUNS": (1_000_000, "runs of a grid"),
    "SISTA_MAX_SECONDS": (300, "seconds to decode one film"),
    "SISTA_MAX_UNPACKED": (200, "times its own size that an archive may hold"),
}


class UserError(Exception):
    """An error a user can mend: the message names the file, the row and the remedy.

    Of a message that quotes what a library says of a damaged file the middle is left out: the file
    stands at its start, the remedy at its end.
    """

    def __init__(self, text: object = "") -> None:
        whole = str(text)
        if len(whole) > LONGEST_TOLD + LONGEST_REMEDY:
            whole = f"{whole[:LONGEST_TOLD]} ... {whole[-LONGEST_REMEDY:]}"
        super().__init__(whole)


def check_range(name: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Refuse a value that lies outside [low, high]; None passes.

    Raises:
        UserError: names value and range.
    """
    # Written so that NaN, which is in no order with anything, is refused too; a whole number may be
    # too large for a float.
    if value is None or (low <= value <= high and abs(value) < sys.float_info.max):
        return
    upper = f" and at most {high:g}" if math.isfinite(high) else ""
    told = f"{value:g}" if isinstance(value, float) else shown(value)
    raise UserError(f"{name}: {told}, but it must be a number of at least {low:g}{upper}")


def usual_range(name: str) -> tuple[float, float]:
    """Return what a setting of this name may be, see `USUAL_RANGES`."""
    found = (ends for pattern, ends in USUAL_RANGES.items() if re.fullmatch(pattern, name))
    return next(found, (-math.inf, math.inf))


def shown(value: object, most: int = 60) -> str:
    """Return a value as an error message quotes it: cut, whatever it is."""
    try:
        text = repr(value)
    # Python refuses to write numbers of thousands of digits, and nests no deeper than its stack.
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= most else f"{text[:most]}..."


def limit(name: str) -> int:
    """Return a limit: a key of `LIMITS`, as the environment sets it.

    Raises:
        UserError: the variable holds no whole number above 0.
    """
    text = os.environ.get(name, "")
    if not text:
        return LIMITS[name][0]
    if not (text.isascii() and text.isdigit() and int(text[:20]) > 0 and len(text) < 20):
        raise UserError(f"{name}: must be a whole number above 0 ({LIMITS[name][1]})")
    return int(text)


def check_limit(name: str, count: float, where: str) -> None:
    """Refuse what is larger than a limit.

    Raises:
        UserError: names the size, the limit and how to raise it.
    """
    most = limit(name)
    if count > most:
        raise UserError(
            f"{where}: {count:.0f} {LIMITS[name][1]}, more than the {most} allowed; where it is "
            f"meant, set {name} to a greater number"
        )


def check_version(path: object, found: object, known: int) -> None:
    """Refuse what a newer version of this project has made.

    Raises:
        UserError: names the file and the remedy.
    """
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise UserError(f"{path}: its version is no whole number; make the file again")
    if found > known:
        raise UserError(
            f"{path}: made by a newer version of this project (contract {found}, this one knows "
            f"{known}): update"
        )


def unreadable(path: object, error: BaseException, remedy: str) -> str:
    """Return in one line why a file cannot be read, and what to do.

    Args:
        path: of the file that was asked for; the error may name another one.
        error: what opening or parsing it has raised.
        remedy: for a file that is missing or damaged.
    """
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        path = os.fsdecode(error.filename)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"{path}: no such file; {remedy}"
    # Parsers raise some of their own without a number.
    if isinstance(error, OSError) and error.errno is not None:
        reason = (error.strerror or type(error).__name__).lower()
        if isinstance(error, PermissionError):
            return f"{path}: {reason}; give yourself the right to read it"
        return f"{path}: {reason}; {remedy}"
    if isinstance(error, UnicodeError):
        place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        return f"{path}: not UTF-8 text{place}; save it as UTF-8, or {remedy}"
    if isinstance(error, MemoryError):
        return f"{path}: does not fit into memory; use a larger machine, or {remedy}"
    return f"{path}: damaged, or of another format ({type(error).__name__}); {remedy}"


def check_word(what: str, word: str) -> None:
    """Refuse a word that is not made of letters, digits and `. _ + - @`, or is too long.

    Args:
        what: names the word in the message.
        word: of a grid, of a table or of a file.

    Raises:
        UserError: names the word and what it may hold.
    """
    if not re.fullmatch(WORD, word):
        raise UserError(
            f"{what}: {word[:100]!r} is no word: it must begin with a letter, a digit or _, and go "
            "on with these and . + - @ (of the English alphabet, 100 characters at most)"
        )


def check_arguments(words: Sequence[str]) -> None:
    """Refuse words of a command line that are no name, number or path on any machine.

    Raises:
        UserError: names the word.
    """
    for number, word in enumerate(words, start=1):
        told = f"word {number} of the command, {shown(word)}"
        option, _, value = word.partition("=") if word.startswith("--") else ("", "", word)
        # `--` and an option without `=` hold no value.
        if not word or (not value and option != word):
            raise UserError(f"{told}: is empty; give a value, or leave the option out")
        if len(word) > LONGEST_ARGUMENT or (value.isdigit() and len(value) > LONGEST_NUMBER):
            raise UserError(f"{told}: must not have {len(word)} characters")
        if any(unicodedata.category(char) == "Cs" for char in word):
            raise UserError(f"{told}: is not UTF-8 text; correct it")
        if any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in word):
            raise UserError(f"{told}: holds control characters; correct it")


def printable(text: object) -> str:
    r"""Return text that moves no cursor, colours nothing and turns no line round on a terminal.

    Control characters, marks of direction and halves of characters become `\x1b` and the like;
    line ends and tabs stay.
    """
    text = str(text)
    # The usual case, and fast: pictures of a page are text of a million characters.
    if text.isprintable():
        return text
    return "".join(
        char
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else char.encode("unicode_escape").decode()
        for char in text
    )


def say(text: object) -> None:
    """Print text as `printable` gives it: names and notes in it may be of others."""
    print(printable(text))


def warn(text: object) -> None:
    """Print text likewise to standard error, where no table is read from."""
    print(printable(text), file=sys.stderr, flush=True)


def unwritable(error: Exception) -> str | None:
    """Return the remedy where an error means a full disk or a folder without rights, else None.

    Writers in C and Rust pass the system's error on as text only.
    """
    text = str(error)
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text:
        return "no space left on the disk; free some and run again, finished work is kept"
    number = getattr(error, "errno", None)
    if number in (errno.EROFS, errno.EACCES, errno.EPERM) or "Read-only file system" in text:
        return "cannot be written; give write permission to the folder of results and run again"
    return None


def explained(error: Exception) -> tuple[str, int]:
    """Return the message and the exit code of an error that ends a verb."""
    if isinstance(error, UserError):
        return str(error), MENDABLE
    # The command line wraps what a verb's own file lacks.
    lost = error.__cause__ if type(error) is ImportError else error
    if isinstance(lost, ModuleNotFoundError) and lost.name and lost.name[:6] != "sista.":
        name = lost.name.partition(".")[0]
        remedy = "run `make env EXTRAS=all`, or pip install 'sista-bench[train,site]'"
        return f"this environment has no package {name}; {remedy}", MENDABLE
    if isinstance(error, MemoryError):
        return "out of memory; use a larger machine, or fewer --threads", MENDABLE
    reason = unwritable(error)
    if isinstance(error, OSError) and error.filename is not None:
        path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "file"
        if reason and not isinstance(error, PermissionError):
            return f"{path}: {reason}", MENDABLE
        return unreadable(path, error, "check the path and its rights"), MENDABLE
    if reason:
        return reason, MENDABLE
    return f"a fault of this program ({type(error).__name__})", FAULT


def write_log(error: Exception, words: Sequence[str]) -> str:
    """Write the traceback into a log file of its own; return what to do with it."""
    text = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="sista-fault-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(f"sista {' '.join(words)}\n{text}")
    except OSError:
        return f"(the log could not be written)\n{text}"
    return (
        f"log: {name}\nto report it, open an issue of the repository with this log; take out "
        "what is private first, file names and values of your data may stand in it"
    )
