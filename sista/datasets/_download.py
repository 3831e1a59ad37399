"""Downloads of open sets: files by their addresses, resumed, from mirrors, with checksums.

pooch names, checks and moves the files; what goes on behind a broken transfer is here.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlparse

from sista.errors import UserError, unwritable, warn
from sista.files import read_text
from sista.runs.progress import track

MIB = 1 << 20
# What a broken transfer loses at most.
PIECE = 1 << 16
# Of one address before the next mirror; each goes on where the one before stopped.
TRIES, WAIT_SECONDS = 4, 1.0
TIMEOUT = (20, 60)
# Algorithm and hexadecimal digits, as pooch takes them; SHA-256 without a name.
HASH = re.compile(r"(?:(?:md5|sha1|sha256|sha512):)?[0-9a-f]{32,128}")
PARTIAL = ".part"


@dataclass(frozen=True)
class RemoteFile:
    """A file of an open data set.

    Args:
        path: where it belongs below the data set's folder.
        urls: its address and those of mirrors, tried in this order.
        checksum: `sha256:...`, `md5:...`; None = none is published.
    """

    path: str
    urls: tuple[str, ...]
    checksum: str | None = None


def read_list(file: Path) -> list[RemoteFile]:
    """Read a list of files: `checksum path address [mirror ...]` a line, `-` for no checksum.

    Raises:
        UserError: names file and row.
    """
    found = []
    for number, line in enumerate(read_text(file, "name the list of addresses").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{file} row {number}"
        if len(words) < 3 or not (words[0] == "-" or HASH.fullmatch(words[0].lower())):
            raise UserError(f"{where}: expected `checksum path address ...`, `-` for no checksum")
        path = PurePosixPath(words[1])
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise UserError(f"{where}: the path leaves the data folder; correct it")
        if wrong := [url for url in words[2:] if urlparse(url).scheme not in ("http", "https")]:
            raise UserError(f"{where}: {wrong[0][:80]} is no http(s) address; correct it")
        checksum = None if words[0] == "-" else words[0].lower()
        found.append(RemoteFile(path.as_posix(), tuple(words[2:]), checksum))
    if not found:
        raise UserError(f"{file}: names no file; write `checksum path address` lines")
    return found


def download(files: Sequence[RemoteFile], folder: Path, word: str) -> None:
    """Bring files into a folder; what is there whole stays, what was begun goes on.

    A file appears under its name when its checksum is right. Without a published checksum its own
    is printed.

    Raises:
        UserError: no address gave a file; a second run goes on where this one stopped.
    """
    import pooch  # here: the only stage that goes to a network, if it is asked to

    pooch.get_logger().setLevel("ERROR")
    for file in files:
        target = folder / file.path
        if target.is_file() and (file.checksum is None or _fits(target, file.checksum)):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _from_any(file, target, word)
        except OSError as error:
            if (reason := unwritable(error)) is None:
                raise
            raise UserError(f"{target}: {reason}") from error
        if file.checksum is None:
            checksum = pooch.file_hash(str(target))
            warn(f"{word}: {file.path} has no published checksum; sha256 {checksum}")


def _fits(file: Path, checksum: str) -> bool:
    import pooch

    algorithm, _, digits = checksum.rpartition(":")
    return bool(pooch.file_hash(str(file), alg=algorithm or "sha256") == digits)


def _from_any(file: RemoteFile, target: Path, word: str) -> None:
    """Download a file from the first address that gives it whole."""
    import pooch

    problems = []
    for url in file.urls:
        try:
            transfer = _Transfer(target.with_name(f".{target.name}{PARTIAL}"), word, file.path)
            pooch.retrieve(
                url, known_hash=file.checksum, fname=target.name, path=target.parent,
                downloader=transfer,
            )  # fmt: skip
            return
        except UserError as error:
            problems.append(str(error))
        except ValueError:
            # Of pooch: its temporary file is gone, so that the next address begins anew.
            problems.append(f"{_shown(url)} gave another file: its checksum differs")
    raise UserError(
        f"{word}: {file.path} cannot be downloaded: {'; '.join(problems)}. Run again to go on, or "
        f"put the file into {target.parent}"
    )


def _shown(url: str) -> str:
    """Return an address without what may be a key."""
    parts = urlparse(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"[:120]


class _Transfer:
    """Downloader for pooch that keeps what has come and asks for the rest."""

    def __init__(self, partial: Path, word: str, name: str) -> None:
        self.partial = partial
        self.title = f"download {name} of {word} (MiB)"

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Write the content of an address into `output_file`.

        Raises:
            UserError: it stopped too often, or the server refuses.
        """
        from requests import RequestException

        problem = ""
        for attempt in range(TRIES):
            try:
                self._go_on(url)
                self.partial.replace(output_file)
                return
            except RequestException as error:
                problem = _reason(error)
                code = getattr(error.response, "status_code", None)
                if code is not None and 400 <= code < 500 and code not in (408, 416, 429):
                    break
                time.sleep(WAIT_SECONDS * attempt)
        raise UserError(f"{_shown(url)}: {problem}")

    def _go_on(self, url: str) -> None:
        import requests

        have = self.partial.stat().st_size if self.partial.is_file() else 0
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                # What is here is not the beginning of that file, or all of it: begin anew.
                self.partial.unlink()
            response.raise_for_status()
            goes_on = response.status_code == 206 and _start(response) == have
            size = int(response.headers.get("Content-Length", 0))
            total = size + (have if goes_on else 0)
            with self.partial.open("ab" if goes_on else "wb") as stream:
                for _ in track(_written(response, stream), self.title, size // MIB or None):
                    pass
        if size and self.partial.stat().st_size != total:
            raise requests.ConnectionError("the transfer stopped")


def _written(response: Any, stream: BinaryIO) -> Iterator[None]:
    """Write what comes, and yield after each MiB."""
    written = 0
    for piece in response.iter_content(PIECE):
        stream.write(piece)
        written += len(piece)
        while written >= MIB:
            written -= MIB
            yield


def _start(response: Any) -> int:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _reason(error: Any) -> str:
    response = getattr(error, "response", None)
    return "the transfer stopped" if response is None else f"answers {response.status_code}"
