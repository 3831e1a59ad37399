"""The chain of a result: from a file over the runs' records down to the hash of the raw data."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from sista.errors import UserError
from sista.files import sha256, within
from sista.runs.record import FileFact, Record, read_record, record_of

# Of the chain from a page down to the raw data, with room.
LONGEST = 100


@dataclass(frozen=True)
class Link:
    """A file in the chain and the run that made it.

    Attributes:
        path: of the file.
        recorded: what the run that reads it recorded; None at the start of the chain.
        made: what the run that made it recorded.
        record: of the run that made it; None where there is none.
        record_path: of that record.
        below: the files that this run read.
    """

    path: Path
    recorded: FileFact | None
    made: FileFact | None
    record: Record | None
    record_path: Path | None
    below: tuple["Link", ...]

    @property
    def sha256(self) -> str | None:
        """Recorded hash, by its maker or else its reader."""
        fact = self.made or self.recorded
        return fact.sha256 if fact else None

    @property
    def state(self) -> str:
        """`as recorded`, `altered`, `not here`, `made again since` or `no record`; hashes."""
        if not self.path.is_file():
            return "not here"
        if self.sha256 is None:
            return "no record"
        if self.made and self.recorded and self.made.sha256 != self.recorded.sha256:
            return "made again since"
        return "as recorded" if hash_of(self.path) == self.sha256 else "altered"


@cache
def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file, read once a process."""
    return sha256(path)


def follow(path: Path, recorded: FileFact | None = None) -> Link:
    """Return a file with all that it was made from.

    Raises:
        UserError: a record on the way cannot be read, or a file is made from itself.
    """
    return _follow(path, recorded, {}, ())


def _follow(
    path: Path, recorded: FileFact | None, known: dict[Path, Link], way: tuple[Path, ...]
) -> Link:
    """Return a file with all that it was made from; each file's record is read once."""
    if path in way or len(way) > LONGEST:
        raise UserError(f"{path}: its records go round in a circle; delete it and run again")
    if path in known:
        return replace(known[path], recorded=recorded)
    link = known[path] = _link(path, recorded, known, (*way, path))
    return link


def _link(
    path: Path, recorded: FileFact | None, known: dict[Path, Link], way: tuple[Path, ...]
) -> Link:
    beside = record_of(path)
    record = read_record(beside) if beside else None
    output = record.outputs.get(path.name) if record else None
    if beside is None or record is None or output is None:
        return Link(path, recorded, None, None, None, ())
    inputs = ((resolve(beside, name), fact) for name, fact in record.inputs.items())
    below = [_follow(source, fact, known, way) for source, fact in inputs]
    return Link(path, recorded, output, record, beside, tuple(below))


def resolve(record: Path, name: str) -> Path:
    """Return the path of a file that a record names, without `..` where that can be."""
    parts: list[str] = []
    for part in (record.parent / name).parts:
        if part == ".." and parts and parts[-1] not in ("..", "/"):
            parts.pop()
        else:
            parts.append(part)
    return Path(*parts)


def walk(link: Link) -> Iterator[Link]:
    """Yield a link and all below it, each file once."""
    seen: set[Path] = set()
    # The nearest first: a number is explained from its table down to the raw data.
    queue = [link]
    while queue:
        current = queue.pop(0)
        if current.path not in seen:
            seen.add(current.path)
            yield current
            queue += current.below


def raw_data(link: Link) -> dict[str, str]:
    """Return the SHA-256 of the listing of each raw data set below a file."""
    hashes = {}
    for each in walk(link):
        if each.record is not None and each.record.stage == "fetch":
            hashes[str(each.record.run["dataset"])] = str(each.record.facts["raw_sha256"])
    return hashes


def result_path(name: str, results: Path) -> Path:
    """Return where a result lies that a table names from the project's root on.

    Args:
        name: `results/...`, as in a scores table.
        results: folder of all results.

    Raises:
        UserError: the name leads elsewhere.
    """
    first, _, rest = name.partition("/")
    if first != "results":
        raise UserError(f"{name!r}: names no file in the folder of results")
    return within(results, rest)


def below_of(path: Path) -> Link | None:
    """Return the chain of a file, or None where it or a record is not there."""
    try:
        return follow(path) if path.is_file() else None
    except UserError:
        return None
