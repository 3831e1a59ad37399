"""The error that is shown to users without a traceback."""

import errno
import math


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
