"""Sets whose file names say the label, with masks of the lungs in files beside the films."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sista.datasets._inside import inside
from sista.datasets._source import Row, given, relative
from sista.errors import UserError
from sista.preparation.masks import MaskFile


def listed(folder: Path, patterns: Iterable[str]) -> Iterator[tuple[str, Row]]:
    """Yield the films that match, as paths below the folder with their place in the listing.

    Raises:
        UserError: a film is a link out of the folder.
    """
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    for number, path in enumerate(sorted(found), start=1):
        if not inside(folder, path):
            raise UserError(f"{path}: a symbolic link out of the data folder; put the file there")
        row = Row(path, number, {})
        yield relative(folder, path.relative_to(folder).as_posix(), row), row


def lungs(folder: Path, *sides: Iterable[str]) -> MaskFile | None:
    """Return the mask of the lungs: of each side the first file that is there.

    Args:
        folder: of the download.
        sides: places of the left, the right or both lungs, below the folder.

    Returns:
        None where a side has no file: the film was not outlined.
    """
    found = [next((p for p in places if given(folder / p)), None) for places in sides]
    first, *others = found
    if first is None or None in others:
        return None
    if not all(inside(folder, folder / path) for path in found if path):
        raise UserError(f"{folder / first}: a symbolic link out of the data folder")
    return MaskFile(first, tuple(path for path in others if path))
