"""Downloads whose archives were never unpacked: a view of the folder as if they had been."""

import os
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from sista.datasets._account import ENDINGS
from sista.datasets._card import Dataset
from sista.datasets._inside import also_inside
from sista.errors import UserError, check_limit, warn
from sista.runs.progress import track

# Archives in archives, and bytes that an archive of any size may hold.
DEEPEST, SMALL, PIECE = 3, 1 << 30, 1 << 20
ZIP, TAR = (".zip",), (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
Member = tuple[str, IO[bytes]]


@dataclass(frozen=True)
class Download:
    """Where a download is read.

    Args:
        root: the folder that its reader is given.
        release: of it.
        named: the folder as downloaded, whose files are listed.
        top: what stands for `named` while archives are unpacked.
        archives: archive of every file that was unpacked, by its path below `named`.
    """

    root: Path
    release: str
    named: Path
    top: Path
    archives: dict[str, str] = field(default_factory=dict)

    def listed_as(self, path: str) -> str:
        """Return the file of the download that holds a path below `root`: maybe an archive."""
        whole = (PurePosixPath(self.root.relative_to(self.top).as_posix()) / path).as_posix()
        return self.archives.get(whole, whole)

    def shown(self, text: str) -> str:
        """Return a message with the paths of the download itself."""
        return text.replace(str(self.top), str(self.named))


@contextmanager
def opened(
    dataset: Dataset, source: Path | None, scratch: Path | None = None, *, films: bool = True
) -> Iterator[Download]:
    """Give the download in `source`, unpacked for as long as it is read where it is packed.

    Nothing is written into the download. Files that stand unpacked beside their archive are taken
    as they are.

    Args:
        dataset: the card.
        source: see `Dataset.find`; an archive may be named as well.
        scratch: existing folder for what is unpacked; None = that of temporary files.
        films: unpack films too, not only tables.

    Raises:
        UserError: see `Dataset.find`; or an archive is damaged or does not fit on the disk.
    """
    base = dataset.start(source)
    archives = _packed(base, dataset.reads_archives)
    if not archives:
        root, release = dataset.find(source)
        yield Download(root, release, root, root)
        return
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".unpacked.", suffix=".tmp") as place:
        view = _View(base if base.is_dir() else base.parent, Path(place), films)
        if base.is_dir():
            view.link()
        view.unpack(archives, dataset)
        with also_inside(view.top, view.base):
            try:
                root, release = dataset.locate(view.top)
                yield Download(root, release, view.base, view.top, view.archives)
            except UserError as error:
                raise UserError(str(error).replace(str(view.top), str(view.base))) from error


def _packed(base: Path, kept: tuple[str, ...]) -> list[Path]:
    """Return the archives of a folder, down to three folders in it, or the one that is named."""
    if base.is_file():
        return [base] if base.name.lower().endswith(ZIP + TAR) else []
    found = {*base.glob("*"), *base.glob("*/*")}
    # Further down without links, and without what may not be listed.
    for folder, names, files in os.walk(base):
        if len(Path(folder).relative_to(base).parts) > 2:
            names.clear()
        found.update(Path(folder, name) for name in files if name.lower().endswith(ZIP + TAR))
    return sorted(
        path
        for path in found
        if path.name.lower().endswith(ZIP + TAR) and path.name not in kept and path.is_file()
    )


class _View:
    """A folder of links to a download, and of what was in its archives."""

    def __init__(self, base: Path, top: Path, films: bool) -> None:
        self.base = base.resolve()
        self.top = top
        self.films = films
        self.archives: dict[str, str] = {}
        # Bytes of the archive under way and of what came out of it.
        self.packed = self.written = 0

    def link(self) -> None:
        for path in self.base.iterdir():
            (self.top / path.name).symlink_to(path)

    def unpack(self, archives: list[Path], dataset: Dataset) -> None:
        waiting = [(path, path.relative_to(self.base).as_posix(), 1) for path in archives]
        while waiting:
            archive, name, depth = waiting.pop()
            if depth > DEEPEST:
                raise UserError(
                    f"{name}: archives in archives in archives; unpack it beside itself"
                )
            inner = self._unpack_one(archive, name, dataset)
            # An archive of archives: they count as the outer one.
            waiting += [(self.top / path, name, depth + 1) for path in inner]

    def _unpack_one(self, archive: Path, name: str, dataset: Dataset) -> list[str]:
        place = PurePosixPath(name).parent
        inner: list[str] = []
        self.packed, self.written = archive.stat().st_size, 0
        try:
            names, members = _members(archive)
            # Films at an archive's top belong into a folder of its name, as Kaggle packs them.
            flat = bool(names) and all("/" not in n and n.lower().endswith(ENDINGS) for n in names)
            stem = _stem(archive.name) if flat else ""
            # To go through a compressed tar takes long: its first file tells that it was unpacked.
            is_tar = not archive.name.lower().endswith(ZIP)
            if is_tar and names and (self.top / place / stem / names[0]).exists():
                return []
            for member, stream in track(members, f"unpack {name} of {dataset.word}"):
                path = (place / stem / member).as_posix()
                if self._write(path, stream):
                    self.archives[path] = name
                    if path.lower().endswith(ZIP + TAR):
                        inner.append(path)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
            # That deep lie things of others too; if it was needed its films will be missing.
            if name.count("/") > 1 and not self.written:
                warn(f"{archive}: not a readable archive, left out")
                return []
            raise UserError(f"{archive}: not a readable archive; download it again") from error
        except OSError as error:
            raise UserError(
                f"{archive}: cannot be unpacked into {self.top.parent} "
                f"({error.strerror or error}); unpack it beside itself, or download it again"
            ) from error
        return inner

    def _write(self, path: str, stream: IO[bytes]) -> bool:
        """Write a file where none is yet; tell whether it was written."""
        target = self.top / path
        if target.exists():
            return False
        self._own(target.parent)
        if path.lower().endswith(ENDINGS) and not self.films:
            return False
        with target.open("wb") as file:
            while piece := stream.read(PIECE):
                file.write(piece)
                self.written += len(piece)
                if self.written > SMALL:
                    check_limit("SISTA_MAX_UNPACKED", self.written // self.packed, path)
        return True

    def _own(self, folder: Path) -> None:
        """Make a folder of the view that is no link into the download."""
        if folder == self.top:
            return
        self._own(folder.parent)
        if folder.is_symlink():
            original = folder.resolve()
            folder.unlink()
            folder.mkdir()
            for path in original.iterdir():
                (folder / path.name).symlink_to(path)
        folder.mkdir(exist_ok=True)


def _stem(name: str) -> str:
    ending = next(ending for ending in ZIP + TAR if name.lower().endswith(ending))
    return name[: -len(ending)]


def _members(archive: Path) -> tuple[list[str], Iterator[Member]]:
    """Return the names at hand and the files of an archive; what leaves its folder is left out."""
    if archive.name.lower().endswith(ZIP):
        opened_zip = zipfile.ZipFile(archive)
        names = [info.filename for info in opened_zip.infolist() if not info.is_dir()]
        names = [name for name in names if _is_safe(name)]
        return names, ((name, opened_zip.open(name)) for name in names)
    # To list a compressed tar is to read it whole: its first file stands for all.
    with tarfile.open(archive) as first:
        member = next((m for m in first if m.isfile() and _is_safe(m.name)), None)
    return [_plain(member.name)] if member else [], _tar_members(archive)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() and _is_safe(member.name) else None
            if stream is not None:
                yield _plain(member.name), stream


def _plain(name: str) -> str:
    return PurePosixPath(name).as_posix()


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    # Archives of macOS hold a shadow of each file.
    return not path.is_absolute() and ".." not in path.parts and "__MACOSX" not in path.parts
