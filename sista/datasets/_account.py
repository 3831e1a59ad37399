"""What came out of a download and what did not: nothing of it disappears without a line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sista.datasets._card import Dataset
from sista.errors import UserError
from sista.files import walk
from sista.preparation.films import Unreadable
from sista.preparation.image_record import ImageRecord, LeftOut
from sista.preparation.masks import MaskFile
from sista.runs.progress import track

ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".gif", ".img")


@dataclass(frozen=True)
class Account:
    """The films of a download that are used, and all else that was found."""

    records: list[ImageRecord]
    left_out: list[LeftOut]

    def with_unnamed(self, files: Iterable[str]) -> "Account":
        """Add the pictures among `files` (relative paths) that no table names, by folder."""
        named = {record.path for record in self.records}
        for record in self.records:
            if isinstance(record.mask, MaskFile):
                named.update(record.mask.paths)
        named |= {entry.path for entry in self.left_out if entry.path}
        unnamed: dict[str, int] = {}
        for file in files:
            if file.lower().endswith(ENDINGS) and file not in named:
                folder = file.rpartition("/")[0].partition("/")[0]
                unnamed[folder] = unnamed.get(folder, 0) + 1
        found = [
            LeftOut(
                "image files", f"no table names them (below {folder or 'the top'})", count=count
            )
            for folder, count in sorted(unnamed.items())
        ]
        return Account(self.records, self.left_out + found)

    def without(self, unreadable: Iterable[Unreadable]) -> "Account":
        """Move films that cannot be read to what is left out."""
        lost = {film.path: film for film in unreadable}
        found = [
            LeftOut("films", "they cannot be read, see the quarantine table", film.where, film.path)
            for film in lost.values()
        ]
        kept = [record for record in self.records if record.path not in lost]
        return Account(kept, self.left_out + found)

    def facts(self) -> list[dict[str, str | int]]:
        """Return what was left out as `{what, why, n}`, without the places."""
        return [
            {"what": what, "why": why, "n": sum(entry.count for entry in entries)}
            for (what, why), entries in self._groups().items()
        ]

    def lines(self, dataset: Dataset, release: str, published: bool) -> Iterator[str]:
        """Yield one line per kind of thing left out, then how the size compares.

        Args:
            dataset: the card.
            release: of the download.
            published: compare with the size that the release publishes.
        """
        for (what, why), entries in self._groups().items():
            number = sum(entry.count for entry in entries)
            first = f" (first: {entries[0].where})" if entries[0].where else ""
            yield f"left out: {number} {what}: {why}{first}"
        if published:
            yield from self._size(dataset, release)

    def _size(self, dataset: Dataset, release: str) -> Iterator[str]:
        came = len(self.records)
        expected = dataset.counts.get(release)
        size = dataset.published.get(release, expected)
        if size is None:
            yield f"size: {came} films used; {dataset.word} {release} has no published number"
            return
        named = came + sum(entry.count for entry in self.left_out if entry.what == "films")
        kept = f", {expected} of them used here" if expected not in (None, size) else ""
        here = f"this download names {named} and {came} are used"
        if named != size:
            here += f": {size - named} too few" if named < size else f": {named - size} too many"
        yield f"size: {dataset.word} {release} publishes {size} films{kept}; {here}"

    def _groups(self) -> dict[tuple[str, str], list[LeftOut]]:
        groups: dict[tuple[str, str], list[LeftOut]] = {}
        for entry in self.left_out:
            groups.setdefault((entry.what, entry.why), []).append(entry)
        return groups


def read_all(dataset: Dataset, root: Path) -> Account:
    """Read the tables of a download.

    Raises:
        UserError: no film is left, or two rows name the same one.
    """
    entries = (dataset.entries or dataset.read)(root)
    account = Account([], [])
    seen: dict[str, ImageRecord] = {}
    for entry in track(entries, f"read tables of {dataset.word}"):
        if isinstance(entry, LeftOut):
            account.left_out.append(entry)
            continue
        if entry.image_id in seen:
            raise UserError(
                f"{entry.where}: names the same image as {seen[entry.image_id].where}; "
                "remove one of them, each stands once"
            )
        seen[entry.image_id] = entry
        account.records.append(entry)
    if not account.records:
        why = "".join(f"\n{line}" for line in account.lines(dataset, "", published=False))
        raise UserError(f"{root}: the tables of {dataset.word} name no image that can be used{why}")
    return account


def files_below(root: Path, *, links: bool = False) -> Iterator[str]:
    """Yield the paths of all files below a folder, relative to it; hidden folders are skipped.

    Args:
        root: the folder.
        links: go into folders that are symbolic links.
    """
    for folder, names, files in walk(root, links=links):
        names[:] = [name for name in names if not name.startswith(".")]
        below = Path(folder).relative_to(root).as_posix()
        yield from (name if below == "." else f"{below}/{name}" for name in files)
