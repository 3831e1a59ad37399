"""The place of a folder that a verb writes as a whole."""

import os
from pathlib import Path

from sista.errors import UserError


def check_place(out: Path) -> None:
    """Refuse a place below a file, before any work begins.

    Raises:
        UserError: names the file that stands in the way.
    """
    # Not of `Path`, whose questions raise for long names and closed folders.
    above = next((p for p in out.parents if os.path.exists(p)), Path())
    if not os.path.isdir(above):
        raise UserError(f"--out {out}: {above} is a file; give a place in a folder")
