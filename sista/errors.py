"""The error that is shown to users without a traceback; what a word and a line of text may hold."""

import errno
import math
import re
import unicodedata

# Words become parts of paths, commands, tables and pages: no blank, no quote, no sign that a shell,
# a spreadsheet, a page or an option of a command would take for its own.
WORD = r"[A-Za-z0-9_][A-Za-z0-9._+@-]{0,99}"


class UserError(Exception):
    """An error a user can mend: the message names the file, the row and the remedy."""


def check_range(name: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Refuse a value that lies outside [low, high]; None passes.

    Raises:
        UserError: names value and range.
    """
    # Written so that NaN, which is in no order with anything, is refused too.
    if value is None or (low <= value <= high and math.isfinite(value)):
        return
    upper = f" and at most {high:g}" if math.isfinite(high) else ""
    raise UserError(f"{name}: {value:g}, but it must be a number of at least {low:g}{upper}")


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
