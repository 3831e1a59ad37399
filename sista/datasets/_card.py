"""What a data set file defines: its card (release, licence, labels) and its reader."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sista.datasets._download import RemoteFile
from sista.datasets._inside import inside
from sista.errors import UserError
from sista.preparation.image_record import ImageRecord, LeftOut, only_records

# Folders that may stand around a download: physionet.org/files/mimic-cxr-jpg/2.1.0.
WRAPPERS = 4
# A folder with more folders than this holds patients or studies, not a download.
WIDEST = 40


@dataclass(frozen=True)
class Dataset:
    """A data set: its card and how its download is read.

    Args:
        word: the name everywhere; also the name of the file that defines it.
        title: the name in prose.
        release: returns the release a folder holds, or None where it lacks the marker files.
        read: yields the records of a folder; raises `UserError` naming file and row.
        layout: the folder as downloaded; the first entries are the marker files.
        licence: terms of use.
        access: how to get it.
        url: where to get it.
        citation: what to cite.
        entries: like `read`, and yields what is left out as well; None = `read` leaves out nothing.
        readings: other ways to read it (`WORD+READING` in a grid), such as rules by which several
            radiologists become one; each is a function like `entries`.
        files: addresses of an open set.
        counts: expected number of images per release (as read here).
        published: number of images that a release publishes, where more than are read here.
        labels: findings of the classification task, in order.
        release_labels: `labels` of releases that have others.
        all_labels: every finding column of the manifest; empty means the same as `labels`.
        box_labels: labels that boxes may carry.
        mask_label: what the mask shows, or None.
        multiclass: exactly one label is true per image.
        label_policy: rule of `sista.preparation.labels` for -1 and blanks.
        val_share: share of the official training patients drawn for validation where the source
            has no validation set.
        val_cap: most images drawn so.
        box_tolerance: native pixels a box may leave the image by; it is cut at the border.
        reads_archives: names of archives that the reader opens itself.
        annotation_side: side in pixels of the square frame that boxes and run-length masks are
            published in; None = the films' own pixels.
        credentialed: access is given to named persons only.
        redistributable: the licence lets a changed copy be passed on.
    """

    word: str
    title: str
    release: Callable[[Path], str | None]
    read: Callable[[Path], Iterator[ImageRecord]]
    layout: tuple[str, ...]
    licence: str
    access: str
    url: str
    citation: str
    labels: tuple[str, ...]
    entries: Callable[[Path], Iterator[ImageRecord | LeftOut]] | None = None
    readings: Mapping[str, Callable[[Path], Iterator[ImageRecord | LeftOut]]] = field(
        default_factory=dict
    )
    files: tuple[RemoteFile, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
    all_labels: tuple[str, ...] = ()
    release_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    box_labels: tuple[str, ...] = ()
    mask_label: str | None = None
    multiclass: bool = False
    label_policy: str = "as_is"
    val_share: float = 0.15
    val_cap: int | None = None
    box_tolerance: float = 2.0
    reads_archives: tuple[str, ...] = ()
    annotation_side: int | None = None
    credentialed: bool = False
    redistributable: bool = False

    def reading(self, name: str) -> "Dataset":
        """Return the data set as one of `readings` has it; as it is for an empty name.

        Raises:
            UserError: it has no such reading.
        """
        if not name:
            return self
        if name not in self.readings:
            known = ", ".join(f"{self.word}+{known}" for known in self.readings) or "none"
            raise UserError(f"{self.word}+{name}: unknown reading; valid: {known}")
        entries = self.readings[name]
        return replace(self, entries=entries, read=lambda folder: only_records(entries(folder)))

    def labels_of(self, release: str) -> tuple[str, ...]:
        """Return the findings of the classification task in one release."""
        return self.release_labels.get(release, self.labels)

    def columns_of(self, release: str) -> tuple[str, ...]:
        """Return every finding of the manifest in one release."""
        labels = self.labels_of(release)
        return labels + tuple(name for name in self.all_labels if name not in labels)

    def locate(self, folder: Path) -> tuple[Path, str]:
        """Return the folder that holds the download and the release.

        That is `folder`, its `<word>`, or the one folder below them that an archive or a download
        tool put around the files.

        Raises:
            UserError: names the missing file and tells how to get the data set.
        """
        for candidate in (folder, folder / self.word):
            if candidate.is_dir() and (release := self.release(candidate)) is not None:
                return candidate, release
        start = folder / self.word if (folder / self.word).is_dir() else folder
        level = [start]
        for _ in range(WRAPPERS):
            level = [path for parent in level for path in _folders(parent)]
            found = [(path, self._release_below(path)) for path in level]
            known = [(path, release) for path, release in found if release is not None]
            if len(known) == 1:
                return known[0]
            if known:
                names = ", ".join(path.relative_to(start).as_posix() for path, _ in known[:5])
                raise UserError(f"{start}: holds {self.word} more than once: {names}; name one")
        raise UserError(self.missing(folder))

    def _release_below(self, folder: Path) -> str | None:
        try:
            return self.release(folder)
        except UserError:
            # Another data set, whose table has the same name.
            return None

    def find(self, source: Path | None) -> tuple[Path, str]:
        """Return folder and release of the download in `source`, by default in SISTA_DATA.

        Raises:
            UserError: tells what is missing, how to get it and under which licence.
        """
        return self.locate(self._named(source))

    def start(self, source: Path | None) -> Path:
        """Return the folder (or file) that a search for the download starts in.

        Raises:
            UserError: nothing is named.
        """
        folder = self._named(source)
        return folder / self.word if (folder / self.word).is_dir() else folder

    def _named(self, source: Path | None) -> Path:
        if source is not None:
            return source
        if root := os.environ.get("SISTA_DATA"):
            return Path(root) / self.word
        raise UserError(
            f"{self.word}: SISTA_DATA is not set.\n"
            + self.missing(Path("/path/to/data") / self.word)
        )

    def missing(self, folder: Path) -> str:
        """Return the message for a folder that does not hold the download."""
        start = folder / self.word if (folder / self.word).is_dir() else folder
        reason = (
            f"lacks {self.layout[0]}" if start.is_dir() else "is not there (or is not a folder)"
        )
        return (
            f"{start}: {reason}.\n{self.word} is {self.title}. "
            f"Expected: {', '.join(self.layout)}.\n"
            f"Get it: {self.access}, {self.url}\nLicence: {self.licence}.\n"
            f"Then set SISTA_DATA to the folder that holds {self.word}/, or pass --source."
        )


def _folders(parent: Path) -> list[Path]:
    """Return the folders in a folder; links that lead out of it are those of somebody else."""
    try:
        folders = sorted(
            p
            for p in parent.iterdir()
            if p.is_dir() and not p.name.startswith(".") and inside(parent, p)
        )
    except OSError:
        return []
    return folders if len(folders) <= WIDEST else []
