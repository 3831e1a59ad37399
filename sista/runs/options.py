"""Numbers and folders of the command line: each is checked before any work begins."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from sista.errors import MAX_SEED, MAX_THREADS, UserError, check_range


def within(low: float, high: float) -> Parameter:
    """Return what refuses numbers outside [low, high], NaN too; of a list each."""

    def check(_type: Any, value: Any) -> None:
        for each in value if isinstance(value, list | tuple) else [value]:
            try:
                check_range("value", each, low, high)
            except UserError as error:
                raise ValueError(str(error).removeprefix("value: ")) from error

    found: Callable[[Any, Any], None] = check
    return Parameter(validator=found, converter=_whole if isinstance(low, int) else None)


def _whole(kind: Any, tokens: Sequence[Token]) -> Any:
    """Return whole numbers as they are written: the usual reading rounds 1.5 in silence."""
    for token in tokens:
        if not re.fullmatch(r"[+-]?[0-9]{1,50}", token.value):
            raise ValueError(f"{token.value[:60]!r} is no whole number; give one such as 1")
    numbers = [int(token.value) for token in tokens]
    return numbers if "list" in str(kind) else numbers[0]


def _folder(_type: Any, path: Path | None) -> None:
    """Refuse what is no folder: a verb that needs nothing of it would believe it."""
    if path is not None and not path.is_dir():
        raise ValueError(f"{path}: no such folder; name the folder of all results")


Results = Annotated[Path, Parameter(validator=_folder)]
Threads = Annotated[int, within(1, MAX_THREADS)]
Seed = Annotated[int, within(0, MAX_SEED)]
# More patients than any of these data sets has images.
Count = Annotated[int, within(0, 10_000_000)]
Some = Annotated[int, within(1, 10_000_000)]
# Replicates of every patient are held in memory.
Samples = Annotated[int, within(0, 100_000)]
# Draws and label fractions, as the split has them.
Cells = Annotated[list[int], within(0, 100_000)]
Pixels = Annotated[int, within(1, 16_384)]
Draws = Annotated[int, within(1, 1000)]
Share = Annotated[float, within(0.0, 1.0)]
Cosine = Annotated[float, within(-1.0, 1.0)]
Seconds = Annotated[float, within(0.05, 86_400.0)]
