"""Stage fetch: list the files of a raw data set with their hashes; make the phantom's files first.

Only open sets are downloaded, and only when asked to: access and licence of the others are between
their user and their owner.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from sista import registry, tables
from sista.datasets._archives import opened
from sista.datasets._card import Dataset
from sista.datasets._download import download as download_files
from sista.datasets._download import read_list
from sista.datasets._inside import inside
from sista.datasets._source import checked
from sista.errors import UserError, warn
from sista.files import digest, read_text, sha256, walk
from sista.metadata import data_reading, data_word
from sista.runs.options import Threads
from sista.runs.progress import track
from sista.runs.record import Made, recorded

CACHE = ".hashes.parquet"
# Of PhysioNet: `SHA-256 path` a line.
PUBLISHED = "SHA256SUMS.txt"
Key = tuple[str, int, int, int]


@recorded("fetch")
def fetch(
    word: str,
    *,
    out: Path,
    source: Path | None = None,
    threads: Threads = 1,
    download: bool = False,
    urls: Path | None = None,
) -> Made:
    """List the files of a data set into an inventory (path, size, SHA-256).

    A phantom data set (`rsna_pneumonia@phantom`) is made first, in the folder `raw` beside the
    inventory. Hashes of unchanged files (path, size, times of change) are taken from the last run.

    Args:
        word: the data set, e.g. `rsna_pneumonia` (real) or `rsna_pneumonia@phantom`.
        out: the inventory to write, FILE.parquet.
        source: the folder of the download, or the folder that holds it under the data set's word;
            by default the environment variable SISTA_DATA.
        threads: files hashed or made at the same time.
        download: bring the files of an open set there first; a second run goes on where one
            stopped. You accept the licence of the set by it.
        urls: download these files instead, `checksum path address [mirror ...]` a line.

    Raises:
        UserError: the data set is not there; says what it is, where to get it and its licence. Or
            a file differs from the checksums that its source publishes beside it.
    """
    origin = word.partition("@")[2]
    dataset: Dataset = registry.find("datasets", data_word(word)).reading(data_reading(word))
    if download or urls:
        _download(dataset, origin, source, urls)
    if origin:
        root, release = _make_phantom(dataset, origin, out.parent / "raw", threads)
    else:
        with opened(dataset, source, films=False) as place:
            root, release = place.named, place.release
    frame, compared = _listing(root, out.parent / CACHE, threads, word)
    meta = {
        "dataset": word,
        "release": release,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "n": len(frame),
        "hash": digest(list(zip(frame.path, frame.sha256, strict=True))),
    }
    tables.write(frame, out, "inventory", meta)
    facts = {"release": release, "licence": dataset.licence, "n": len(frame)}
    facts |= {"bytes": int(frame["size"].sum()), "raw_sha256": listing_hash(frame)}
    facts |= compared
    return Made([out], [], {"dataset": word, **_preset(origin)}, facts=facts)


def _listing(
    root: Path, cache: Path, threads: int, word: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return path, size and hash of every file, and how they compare with published ones."""
    keys = list(_files(root))
    hashes = _hashes(root, keys, cache, threads, word)
    frame = pd.DataFrame(
        {
            "path": [path for path, *_ in keys],
            "size": [size for _, size, *_ in keys],
            "sha256": hashes,
        }
    )
    compared = _against_published(word, root, frame)
    times = {"mtime_ns": [key[2] for key in keys], "ctime_ns": [key[3] for key in keys]}
    # Times stay out of the inventory: two copies of the same data must list the same.
    tables.write(frame.assign(**times), cache, "inventory")
    return frame, compared


def _download(dataset: Dataset, origin: str, source: Path | None, urls: Path | None) -> None:
    """Bring the files of an open set, or those of a list, into its folder."""
    files = read_list(urls) if urls else list(dataset.files)
    if origin or not files:
        what = "the phantom is made here" if origin else dataset.missing(Path(dataset.word))
        raise UserError(f"{dataset.word}: nothing can be downloaded: {what}")
    warn(f"{dataset.word}: licence: {dataset.licence}; cite {dataset.citation}")
    download_files(files, dataset.start(source), dataset.word)


def _against_published(word: str, root: Path, frame: pd.DataFrame) -> dict[str, int]:
    """Compare with the checksums that a source publishes beside its files (PhysioNet does).

    Raises:
        UserError: a file differs; names it.
    """
    listing = root / PUBLISHED
    if not listing.is_file():
        return {}
    published: dict[str, str] = {}
    for number, line in enumerate(read_text(checked(listing)).splitlines(), start=1):
        checksum, _, path = line.strip().partition(" ")
        if len(checksum) != 64 or not path:
            raise UserError(f"{listing} row {number}: expected `SHA-256 path`; get it again")
        published[path.strip().removeprefix("*")] = checksum.lower()
    found = dict(zip(frame["path"], frame["sha256"], strict=True))
    differs = [
        path for path, checksum in published.items() if found.get(path, checksum) != checksum
    ]
    if differs:
        raise UserError(
            f"{root / differs[0]}: differs from its checksum in {listing}, {len(differs)} files in "
            "all; download them again"
        )
    missing = [path for path in published if path not in found]
    first = f" (first: {missing[0]})" if missing else ""
    told = f"{len(published) - len(missing)} of {len(published)} files of {PUBLISHED} are here"
    warn(f"fetch {word}: {told}; {len(missing)} are missing{first}")
    return {"published": len(published), "missing": len(missing)}


def listing_hash(inventory: pd.DataFrame) -> str:
    """Return the SHA-256 of a listing as `sha256sum` prints it, sorted by path."""
    # Two blanks, as `sha256sum` writes: the listing can be checked without this code.
    lines = (f"{row.sha256}  {row.path}\n" for row in inventory.itertuples())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _preset(origin: str) -> dict[str, Any]:
    """Return what the phantom is made from; nothing for a real data set."""
    from sista.phantom.presets import PRESETS

    return {"preset": asdict(PRESETS[origin])} if origin else {}


def _make_phantom(dataset: Dataset, origin: str, raw: Path, threads: int) -> tuple[Path, str]:
    from sista.phantom.presets import LAYOUTS, PRESETS
    from sista.phantom.write import write

    if origin not in PRESETS:
        raise UserError(f"unknown origin {origin!r}; valid: {', '.join(PRESETS)}")
    if dataset.word not in LAYOUTS:
        raise UserError(f"the phantom has no {dataset.word}; it has: {', '.join(LAYOUTS)}")
    write(dataset.word, PRESETS[origin], raw, threads)
    return dataset.locate(raw)


def _files(root: Path) -> Iterator[Key]:
    """Yield path, size and time of change of every file; links that lead out are an error."""
    keys: list[Key] = []
    for folder, names, files in walk(root):
        # In place: the walk goes on only into the folders that are left, in this order.
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in [*names, *files]:
            path = Path(folder) / name
            if path.is_symlink() and not inside(root, path):
                raise UserError(
                    f"{path}: a symbolic link out of the data folder; put the files there, or link "
                    "the data set's folder as a whole"
                )
        for name in files:
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file():
                state = path.stat()
                relative = path.relative_to(root).as_posix()
                keys.append((relative, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    yield from sorted(keys)


def _hashes(root: Path, keys: list[Key], cache: Path, threads: int, word: str) -> list[str]:
    """Return the SHA-256 of every file, from the cache where the file has not changed."""
    known: dict[Key, str] = {}
    if cache.is_file():
        old, _ = tables.read(cache, "inventory")
        # The inode's time too: a file can be changed and given its old time of change back.
        names = ("path", "size", "mtime_ns", "ctime_ns", "sha256")
        if set(names) <= set(old):
            columns = (old[name] for name in names)
            known = {tuple(key): value for *key, value in zip(*columns, strict=True)}  # type: ignore[misc]

    def one(key: Key) -> str:
        try:
            return known.get(key) or sha256(root / key[0])
        except OSError as error:
            raise UserError(f"{root / key[0]}: cannot be read; check its permissions") from error

    # Threads are enough: hashlib lets go of Python's lock while it hashes.
    with ThreadPoolExecutor(max(1, threads)) as pool:
        return list(track(pool.map(one, keys), f"fetch {word}", len(keys)))


main = fetch
