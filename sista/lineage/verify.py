"""Verb `verify`: hash every result again and name what differs from its record, and the remedy."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sista import registry, tables
from sista.datasets._card import Dataset
from sista.errors import UserError, say
from sista.files import LEFTOVER, sha256, walk, within
from sista.metadata import data_word
from sista.runs.ancestry import hash_of, resolve
from sista.runs.options import Results
from sista.runs.progress import track
from sista.runs.record import AGAIN, Record, read_record, record_of
from sista.stages.fetch import CACHE

RESULTS = ("encoder.safetensors", "predictions.parquet", "inventory.parquet", "manifest.parquet")
# Clocks of a cluster differ by seconds.
FUTURE_SECONDS = 60.0
# Findings of a kind that are printed.
SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was recorded.

    Attributes:
        kind: altered, missing, no record, outdated, raw data, clock or left over.
        path: of the file.
        text: what is wrong.
        remedy: what to do.
    """

    kind: str
    path: Path
    text: str
    remedy: str


def verify(*, results: Results = Path("results"), raw: bool = False) -> None:
    """Hash all results again; name what was altered, and how to repair it. Exits with 1 then.

    Of each kind the first 20 findings are printed, the others counted. Times of change play no
    part: a file that was damaged and has its old time is found too. Raw
    data below `results` (the phantom's) are hashed as well; others are compared by size and time.

    Args:
        results: folder of all results.
        raw: hash the raw data below SISTA_DATA too.
    """
    if not results.is_dir():
        raise UserError(f"{results}: no such folder; name the folder of results with --results")
    records = list(record_paths(results))
    if not records:
        raise UserError(f"{results}: holds no record of a run, so there is nothing to verify")
    findings = list(check(results, records, raw))
    _tell(findings)
    say(f"{results}: {len(records)} records checked, {len(findings)} findings")
    if findings:
        raise SystemExit(1)


def _tell(findings: list[Finding]) -> None:
    """Print the findings by kind, the first `SHOWN` of each: one cause may have thousands."""
    of_kind: dict[str, list[Finding]] = {}
    for each in findings:
        of_kind.setdefault(each.kind, []).append(each)
    for kind, alike in of_kind.items():
        for each in alike[:SHOWN]:
            say(f"{kind}: {each.path}: {each.text}\n    remedy: {each.remedy}")
        if len(alike) > SHOWN:
            say(f"{kind}: and {len(alike) - SHOWN} more of this kind")


def record_paths(results: Path) -> Iterator[Path]:
    """Yield the records below a folder, sorted; raw data are not looked through."""
    for folder, names, files in walk(results):
        # In place: the walk goes on only into the folders that are left.
        names[:] = sorted(n for n in names if not n.startswith(".") and n != "raw")
        for name in sorted(files):
            if name == "run.json" or name.endswith(".run.json"):
                yield Path(folder) / name


def check(results: Path, records: list[Path], raw: bool = False) -> Iterator[Finding]:
    """Yield all findings."""
    for path in track(records, "verify"):
        try:
            record = read_record(path)
        except UserError as error:
            yield Finding("altered", path, str(error), "run its job again: delete its results")
            continue
        outputs = list(_outputs(path, record))
        # Where a result itself is altered, what it was made from would be no news.
        yield from outputs
        if not outputs:
            yield from _inputs(path, record)
        if record.stage == "fetch" and not outputs:
            yield from _raw(path, record, results, raw)
    yield from _without_record(results)


def _outputs(path: Path, record: Record) -> Iterator[Finding]:
    for name, fact in record.outputs.items():
        file = resolve(path, name)
        if not file.is_file():
            yield Finding("missing", file, f"{record.stage} made it", "run snakemake again")
        elif (actual := hash_of(file)) != fact.sha256:
            text = f"recorded sha256 {fact.sha256[:12]}, found {actual[:12]}"
            yield Finding("altered", file, text, AGAIN)
        elif file.stat().st_mtime > time.time() + FUTURE_SECONDS:
            text = "its time of change lies in the future; a clock was wrong"
            remedy = f"set the clock, `touch {file}`, then `snakemake --cores 1 --touch`"
            yield Finding("clock", file, text, remedy)


def _inputs(path: Path, record: Record) -> Iterator[Finding]:
    """Yield a finding where a run read other bits than are there now."""
    for name, fact in record.inputs.items():
        file = resolve(path, name)
        if not file.is_file():
            continue
        beside = record_of(file)
        try:
            output = read_record(beside).outputs.get(file.name) if beside else None
        except UserError:
            continue
        now = output.sha256 if output else hash_of(file)
        if now != fact.sha256:
            text = f"made from another {name} ({fact.sha256[:12]}, now {now[:12]})"
            remedy = "run snakemake again; where it has nothing to do, delete the result first"
            yield Finding("outdated", path, text, remedy)


def _raw(path: Path, record: Record, results: Path, everything: bool) -> Iterator[Finding]:
    """Compare the raw files with the inventory."""
    word = str(record.run.get("dataset", ""))
    if data_word(word) not in registry.names("datasets"):
        yield Finding("altered", path, "names no data set", "run its job again")
        return
    dataset: Dataset = registry.find("datasets", data_word(word))
    own = "@" in word
    folder = path.parent / "raw" if own else Path(os.environ.get("SISTA_DATA", "")) / dataset.word
    if not own and not ("SISTA_DATA" in os.environ and folder.is_dir()):
        return
    try:
        root, _ = dataset.locate(folder)
    except UserError:
        # A file that tells the release is gone: it is named below.
        root = folder
    listing = path.with_name("inventory.parquet")
    again = f"get the file again; if the change is meant, `rm {listing}` and run snakemake again"
    if own:
        again = f"`rm -r {path.parent}` and run snakemake again, which makes the phantom anew"
    with_times = path.with_name(CACHE)
    try:
        listed, _ = tables.read(with_times if with_times.is_file() else listing, "inventory")
    except UserError as error:
        yield Finding("altered", with_times, str(error), "delete it")
        return
    for row in listed.to_dict("records"):
        try:
            file = within(root, str(row["path"]))
        except UserError as error:
            yield Finding("raw data", listing, str(error), again)
            continue
        if not file.is_file():
            yield Finding("raw data", file, "is gone", again)
            continue
        # The inode's time catches a file that was changed and given back its old time of change.
        state = file.stat()
        times = (row.get("mtime_ns"), row.get("ctime_ns"))
        same = state.st_size == row["size"] and (state.st_mtime_ns, state.st_ctime_ns) == times
        if (own or everything or not same) and sha256(file) != row["sha256"]:
            yield Finding("raw data", file, "has changed since `sista fetch`", again)


def _without_record(results: Path) -> Iterator[Finding]:
    for folder, names, files in walk(results):
        names[:] = sorted(n for n in names if n not in ("raw", ".features"))
        for name in list(names) + sorted(files):
            path = Path(folder) / name
            if LEFTOVER.match(name):
                yield Finding("left over", path, "of a run that was killed", "delete it")
            elif name in RESULTS and record_of(path) is None:
                yield Finding("no record", path, "has no run.json beside it", AGAIN)
