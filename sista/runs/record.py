"""The record of a run, run.json beside its results: what it read, made, was asked and cost.

A stage returns `Made`; `recorded` times it, hashes its files and writes the record.
"""

import functools
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, ParamSpec

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sista.errors import UserError, check_version, unwritable
from sista.files import LEFTOVER, check_place, read_json, remove_leftovers, sha256, write_json
from sista.runs import provenance
from sista.runs.heartbeat import Running, state_path
from sista.runs.portable import Bits

P = ParamSpec("P")
Stage = Literal["fetch", "prepare", "pretrain", "adapt", "score", "report"]
AGAIN = "delete it and run snakemake again, which makes it and what was made from it"
# Larger inputs are not hashed again while their size and time of change are the recorded ones.
HASHED_BYTES = 2**30
# What each record of fetch tells of its raw data.
FETCHED = ("dataset", "release", "licence", "raw_sha256")


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _below(names: dict[str, "FileFact"]) -> dict[str, "FileFact"]:
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
            raise ValueError(f"{name!r} lies outside of the record's folder")
    return names


class FileFact(_Strict):
    """One file that a run read or made."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    mtime_ns: int = Field(description="time of change, to spare hashing again; not its identity")


class Host(_Strict):
    """The machine, as far as a number may depend on it."""

    machine: str
    system: str
    python: str
    cpu: str = Field(description="model of the processor")
    cores: int
    bits: Bits = Field("native", description="portable: instruction sets pinned, any maker")
    torch: str = Field("unknown", description="its version; none: not installed")


class Record(_Strict):
    """Provenance of one run."""

    version: Literal[1] = 1
    stage: Stage
    run: dict[str, Any] = Field(description="what was asked, every setting resolved")
    seeds: dict[str, int] = Field(description="every random stream by name")
    facts: dict[str, Any] = Field(description="what the stage found out, e.g. refused fractions")
    inputs: dict[str, FileFact] = Field(description="by path, relative to the record's folder")
    outputs: Annotated[dict[str, FileFact], AfterValidator(_below)] = Field(
        description="by path, relative to the record's folder and below it"
    )
    code_version: str = Field(description="git commit; + and a hash where files differ from it")
    lock_hash: str = Field(description="first 12 digits of the SHA-256 of the environment lock")
    host: Host
    started: datetime = Field(description="UTC")
    wall_s: Amount = Field(
        description="of the last process: a resumed run counts from there",
    )
    startup_s: Amount = Field(description="from the start of the process to the stage")
    cpu_s: Amount = Field(description="all threads and finished child processes")
    peak_mb: Amount = Field(description="resident memory of the largest process")
    energy_j: float | None = Field(description="null where the machine does not tell")
    energy_note: str = Field(description="which counters, or why none")

    @model_validator(mode="after")
    def _of_fetch(self) -> "Record":
        told = {**self.facts, "dataset": self.run.get("dataset")}
        lacks = [name for name in FETCHED if not isinstance(told.get(name), str)]
        if self.stage == "fetch" and lacks:
            raise ValueError(f"a record of fetch without {', '.join(lacks)}")
        return self


@dataclass(frozen=True)
class Made:
    """What a stage tells about its run.

    Attributes:
        outputs: files it made.
        inputs: files it read.
        run: what was asked, resolved.
        seeds: random streams by name.
        facts: what it found out.
        tidy: is called when the record is written: removes what only a killed run needs.
    """

    outputs: Iterable[Path]
    inputs: Iterable[Path]
    run: Mapping[str, Any]
    seeds: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    tidy: Callable[[], None] | None = None


def recorded(stage: Stage) -> Callable[[Callable[P, Made | None]], Callable[P, None]]:
    """Return a decorator that writes the record of a stage with a keyword `out`.

    In a run of several processes (torchrun) the first one writes it.

    Args:
        stage: its word.
    """

    def decorate(function: Callable[P, Made | None]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            # Set by torchrun. The others hold no state file and write no record.
            if os.environ.get("RANK", "0") != "0":
                function(*args, **kwargs)
                return
            out = Path(str(kwargs["out"]))
            check_place(out, folder=stage == "report")
            with _folder(out.parent), Running(stage, out) as process:
                # Not before `Running` has waited: until then they may be those of a job under way.
                _remove_leftovers(out, stage)
                remove_leftovers(state_path(out))
                with _explained(out):
                    made = function(*args, **kwargs)
                if made is not None:
                    record = _record(stage, made, process, record_path(stage, out).parent)
                    write_json(record_path(stage, out), record.model_dump(mode="json"))
                    # With the record the result is whole; killed before, the run is resumed.
                    if made.tidy is not None:
                        made.tidy()

        return run

    return decorate


def record_path(stage: str, out: Path) -> Path:
    """Return where the record of a result lies: beside a file, inside the folder of a report."""
    if stage == "report":
        return out / "run.json"
    return out.with_name(f"{out.stem}.run.json" if stage == "score" else "run.json")


def record_of(path: Path) -> Path | None:
    """Return the record beside a result that names it, or None."""
    for candidate in (path.with_name(f"{path.stem}.run.json"), path.with_name("run.json")):
        if candidate.is_file():
            return candidate
    return None


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        UserError: it is missing, not JSON, or not a record; names the field.
    """
    values = read_json(path)
    if isinstance(values, dict):
        check_version(path, values.get("version", 1), 1)
    try:
        return Record.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "record"
        raise UserError(f"{path}: not a run record: {where}: {first['msg']}") from error


def fact(path: Path) -> FileFact:
    """Return hash, size and time of change of a file."""
    state = path.stat()
    return FileFact(sha256=sha256(path), bytes=state.st_size, mtime_ns=state.st_mtime_ns)


def known(path: Path) -> FileFact:
    """Return hash, size and time of change of a file that a run reads.

    Where the record of the run that made it names another hash, the file was damaged since: what is
    made from it would be wrong. Of a file above HASHED_BYTES (images) the record is believed while
    size and time of change are the recorded ones. `sista verify` hashes everything.

    Raises:
        UserError: the file is not as it was made.
    """
    on_record = _made(path)
    state = path.stat()
    now = (state.st_size, state.st_mtime_ns)
    if on_record and state.st_size > HASHED_BYTES and (on_record.bytes, on_record.mtime_ns) == now:
        return on_record
    actual = fact(path)
    if on_record and on_record.sha256 != actual.sha256:
        raise UserError(f"{path}: damaged since it was made; {AGAIN}")
    return actual


def _made(path: Path) -> FileFact | None:
    """Return what the record beside a file says of it."""
    beside = record_of(path)
    with suppress(UserError):
        return read_record(beside).outputs.get(path.name) if beside else None
    return None


def _record(stage: Stage, made: Made, process: Running, folder: Path) -> Record:
    def relative(paths: Iterable[Path]) -> dict[str, Path]:
        # Relative, so that a folder of results can be moved or released.
        return {Path(os.path.relpath(p, folder)).as_posix(): p for p in paths}

    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    joules, note = process.energy.spent()
    return Record(
        stage=stage,
        run=dict(made.run),
        seeds=dict(made.seeds),
        facts=dict(made.facts),
        inputs={name: known(path) for name, path in relative(made.inputs).items()},
        outputs={name: fact(path) for name, path in relative(made.outputs).items()},
        code_version=provenance.code_version(),
        lock_hash=provenance.lock_hash(),
        host=Host(**provenance.host()),
        started=datetime.fromtimestamp(process.started, UTC),
        wall_s=round(time.monotonic() - process.clock, 3),
        startup_s=round(process.startup_s, 3),
        cpu_s=round(sum(u.ru_utime + u.ru_stime for u in usage), 3),
        peak_mb=round(provenance.peak_mb(), 1),
        energy_j=joules,
        energy_note=note,
    )


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turn a full disk or missing rights into an error that names the remedy."""
    try:
        yield
    except OSError as error:
        own = str(error.filename or out).startswith(str(out.parent))
        reason = unwritable(error) if own else None
        if reason is None:
            raise
        raise UserError(f"{error.filename or out}: {reason}") from error


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder for the time of a run; one that stays empty goes again."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); check its rights") from error
    try:
        yield
    finally:
        for each in missing:
            with suppress(OSError):
                each.rmdir()


def _remove_leftovers(out: Path, stage: str) -> None:
    """Remove the unfinished files that a killed run of the same result left."""
    for path in list(out.rglob("*") if stage == "report" else out.parent.iterdir()):
        # The scores of all grids share a folder.
        own = stage != "score" or path.name.startswith(f".{out.stem}.")
        if own and LEFTOVER.match(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
