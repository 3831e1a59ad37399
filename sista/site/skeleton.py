"""Verb `new`: a commented file for a method, a head or a data set of one's own, with its test."""

import keyword
from pathlib import Path
from typing import Literal

from sista import registry
from sista.errors import UserError, say
from sista.files import atomic

Kind = Literal["method", "head", "dataset"]
TEXTS = Path(__file__).parent / "skeletons"
MARK = "WORD"


def new(kind: Kind, word: str) -> None:
    """Write the skeleton of a new word into this checkout, and a test of it; both run as they are.

    Args:
        kind: method, head or dataset.
        word: its name in grids, a Python name in small letters, e.g. my_method.

    Raises:
        UserError: the word is taken or no such name.
    """
    if not word.isidentifier() or keyword.iskeyword(word) or word != word.lower() or word[0] == "_":
        raise UserError(f"{word!r} is no word: take small letters, digits and _, e.g. my_{kind}")
    package = registry.PACKAGE
    test = package.parent / "tests" / f"{kind}s" / f"test_{word}.py"
    for path in (package / f"{kind}s" / f"{word}.py", test):
        if path.exists():
            raise UserError(f"{path}: is there already; take another word")
    for name, path in ((kind, package / f"{kind}s" / f"{word}.py"), (f"{kind}_test", test)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary:
            temporary.write_text((TEXTS / f"{name}.txt").read_text().replace(MARK, word))
        say(str(path.relative_to(package.parent)))
    # Beside it stands what the tests and texts ask for as well.
    say(f"Next: pytest {test.relative_to(package.parent)}; then CONTRIBUTING.md, Add a word")
