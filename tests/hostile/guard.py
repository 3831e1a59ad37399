"""One verb on bad input: what it said, how it ended, what it touched, whether code ran.

`held` decides. A bad input is held where the verb ends by itself within the limit, with a code
that is not 0 and one short line `error: ...` that names the input and a remedy, and where nothing
has changed but its own output folder, which holds no half-written file.
"""

import contextlib
import multiprocessing
import os
import re
import shutil
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from sista.errors import FAULT
from sista.files import LEFTOVER
from tests.hostile.isolated import Hang, alarm

OUT = "out"
CANARY = "CANARY"
NOBODY = 65534
LONGEST = 1500
PACKAGE = Path(__file__).resolve().parents[2] / "sista"
# A remedy says what to do, or what would be valid.
REMEDY = re.compile(
    r"\b(delete|run (it )?again|run|check|correct|remove|give|name|write|use|make|get|download|put|"
    r"valid|expected|must|needs?|take|free|install|update|set|sista list|choose|allowed|store|move|"
    r"at (least|most)|one of|choices|did you mean|not among|unpack|rename|link|complete|requires?|"
    r"save)\b",
    re.IGNORECASE,
)
# What verbs keep beside their inputs for the next time.
KEPT = re.compile(r"/(score/cache|similarity|\.features)(/|$)|__pycache__")
State = dict[str, tuple[int, int, int, int]]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        verb: of the command.
        target: what is bad: an input by its role, or an option.
        kind: how.
        arguments: of the command, without `sista`.
        damage: makes the bad input in the world, or None.
        path: of the input in the world, or "".
        names: texts of which the error must name one.
        accepts: this is documented as valid, so that exit code 0 is right too.
        told: what a line must say where the exit code is 0: a valid reading of it that loses
            something and says so.
        nobody: is run as a user without rights.
        asks: this is documented to ask the network.
    """

    verb: str
    target: str
    kind: str
    arguments: tuple[str, ...]
    damage: Any = None
    path: str = ""
    names: tuple[str, ...] = ()
    accepts: bool = False
    told: str = ""
    nobody: bool = False
    asks: bool = False

    @property
    def word(self) -> str:
        return f"{self.verb}: {self.target}: {self.kind}"


@dataclass
class Ended:
    """How a call ended."""

    code: int | None
    said: str
    printed: str
    failure: str = ""
    place: str = ""
    asked: list[str] = field(default_factory=list)


def state(root: Path) -> State:
    """Return kind, size, time and mode of everything below a folder but its output folder."""
    found: State = {}
    waiting = [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                about = entry.stat(follow_symlinks=False)
                name = os.path.relpath(entry.path, root)
                folder = entry.is_dir(follow_symlinks=False)
                if name == OUT:
                    continue
                size, time = (0, 0) if folder else (about.st_size, about.st_mtime_ns)
                found[name] = (about.st_mode, size, time, 0 if folder else about.st_ino)
                if folder and about.st_mode & 0o500 == 0o500:
                    waiting.append(entry.path)
    return found


def restore(root: Path, pristine: Path, clean: State) -> None:
    """Bring the world back to what it was, from its copy."""
    shutil.rmtree(root / OUT, ignore_errors=True)
    # A case may have closed the world itself.
    root.chmod(0o755)
    (root / OUT).mkdir(exist_ok=True)
    (root / OUT).chmod(0o777)
    now = state(root)
    for name in sorted(now.keys() | clean.keys()):
        before, after = clean.get(name), now.get(name)
        if before is not None and after is not None and before[:3] == after[:3]:
            continue
        path = root / name
        if path.is_symlink() or path.is_file() or path.is_fifo():
            path.unlink()
        elif path.is_dir():
            path.chmod(0o755)
            shutil.rmtree(path)
        source = pristine / name
        if before is not None and source.is_dir():
            shutil.copytree(source, path)
        elif before is not None and path.parent.is_dir() and not path.exists():
            shutil.copy2(source, path)


@contextlib.contextmanager
def _quiet(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Send what this process prints, C code included, to two files."""
    paths = folder / "stdout", folder / "stderr"
    kept = [os.dup(1), os.dup(2)]
    streams = sys.stdout, sys.stderr
    try:
        with paths[0].open("w") as out, paths[1].open("w") as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdout, sys.stderr = (os.fdopen(os.dup(n), "w") for n in (1, 2))
            try:
                yield paths
            finally:
                sys.stdout.close()
                sys.stderr.close()
    finally:
        sys.stdout, sys.stderr = streams
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


@contextlib.contextmanager
def _no_network(asked: list[str]) -> Iterator[None]:
    """Refuse every connection and remember it."""
    kept = socket.getaddrinfo, socket.socket.connect

    def refuse(*arguments: Any, **_: object) -> None:
        # Processes of this machine talk to each other by sockets too.
        if getattr(arguments[0], "family", None) == socket.AF_UNIX:
            return kept[1](*arguments)
        asked.append(str(arguments[-1]))
        raise OSError("no network in this trial")

    socket.getaddrinfo, socket.socket.connect = refuse, refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo, socket.socket.connect = kept  # type: ignore[assignment]


def call(arguments: tuple[str, ...], nobody: bool = False) -> Ended:
    """Run the command in this process, in the current folder, and say how it ended."""
    from sista.__main__ import main

    ended = Ended(None, "", "")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        if nobody:
            _no_server()
            os.seteuid(NOBODY)
        try:
            with _quiet(Path(name)) as (out, err), _no_network(ended.asked), alarm():
                ended.code = main(arguments)
        except SystemExit as error:
            ended.code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except Hang as error:
            ended.failure, ended.place = "hang", where(error)
        except (Exception, KeyboardInterrupt) as error:
            # The message may hold a path of this machine.
            ended.failure, ended.place = f"traceback {type(error).__name__}", where(error)
            ended.said = str(error)[:200]
        finally:
            if nobody:
                os.seteuid(0)
                _no_server()
        ended.said = ended.said or err.read_text(errors="replace")
        ended.printed = out.read_text(errors="replace")
    return ended


def _no_server() -> None:
    """End the server that starts processes: it and its folder belong to the user of the time."""
    forkserver._forkserver._stop()
    multiprocessing.process.current_process()._config.pop("tempdir", None)


def where(error: BaseException) -> str:
    """Return the innermost frame of the package in a traceback, `scoring/cached.py:_score`."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(PACKAGE)]
    if not own:
        return "outside the package"
    return f"{Path(own[-1].filename).relative_to(PACKAGE)}:{own[-1].name}"


def judge(case: Case, ended: Ended, changed: list[str], root: Path) -> list[str]:
    """Return what is wrong with how a case ended; nothing = held."""
    wrong = [f"{ended.failure} in {ended.place}"] if ended.failure else []
    if (root.parent / CANARY).exists() or (root / CANARY).exists():
        wrong.append("CODE RAN")
    if ended.asked and not case.asks:
        wrong.append(f"asked the network for {ended.asked[0]}")
    if changed:
        wrong.append(f"touched {changed[0]}")
    left = [p.name for p in (root / OUT).rglob(".*") if LEFTOVER.match(p.name)]
    if left and not (case.nobody):
        wrong.append(f"left {left[0]}")
    if "Traceback (most recent" in ended.said + ended.printed:
        wrong.append("traceback printed")
    # The last resort of `main`: no input may get there.
    if ended.code == FAULT:
        wrong.append("a fault of this program")
    if not ended.failure:
        wrong += _judge_words(case, ended)
    return wrong


def _judge_words(case: Case, ended: Ended) -> list[str]:
    if ended.code == 0:
        told = case.told and case.told in ended.said + ended.printed
        return [] if case.accepts or told else ["believed"]
    # Counts of work done and warnings may stand before; `verify` and `compare` print findings.
    said = ended.said.rpartition("error: ")[2] if "error: " in ended.said else ended.said
    said = said + ended.printed
    wrong = []
    if not said.strip():
        wrong.append("silent")
    elif case.names and not any(name in said.replace("\n", "") for name in case.names):
        wrong.append("names no input")
    elif not REMEDY.search(said):
        wrong.append("no remedy")
    if len(said) > LONGEST:
        wrong.append("long")
    if any(ord(c) < 32 and c not in "\n\t\r" for c in _without_style(ended.said + ended.printed)):
        wrong.append("control characters")
    return wrong


def _without_style(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def run(case: Case, root: Path, pristine: Path, clean: State) -> dict[str, Any]:
    """Run a case in the world and bring the world back; return the verdict."""
    wrong: list[str] = []
    ended = None
    try:
        if case.damage is not None:
            case.damage(root / case.path)
        before = state(root)
        ended = call(case.arguments, case.nobody)
        after = state(root)
        names = before.keys() | after.keys()
        changed = sorted(n for n in names if before.get(n) != after.get(n))
        wrong = judge(case, ended, [n for n in changed if not KEPT.search(n)], root)
    finally:
        restore(root, pristine, clean)
        for path in (root.parent / CANARY, root / CANARY):
            path.unlink(missing_ok=True)
    said = ended.said[-400:] if ended else ""
    code = ended.code if ended else None
    return {"case": case.word, "verb": case.verb, "wrong": wrong, "code": code, "said": said}
