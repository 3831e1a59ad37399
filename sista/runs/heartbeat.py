"""A run under way: a small state file beside its result, with a heart beat, for `sista status`."""

import hashlib
import math
import os
import platform
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from sista.errors import UserError, warn
from sista.files import read_json, write_json
from sista.runs.energy import EnergyMeter

BEAT_SECONDS = 15.0
# Clocks of a cluster differ, and a file server may be slow.
SILENCE_SECONDS = 120.0
WAIT_SECONDS = 0.5
# A look at another machine costs its file server a few requests.
FAR_WAIT_SECONDS = 5.0


@dataclass(frozen=True)
class State:
    """Who makes a result.

    Attributes:
        stage: of the run.
        pid: process.
        machine: names the machine without telling its name.
        process_started: seconds since 1970; with the pid it is unique.
        started: when the stage began, seconds since 1970.
        job: its id on a SLURM cluster, as `scancel` takes it; empty elsewhere.
    """

    stage: str
    pid: int
    machine: str
    process_started: float
    started: float
    job: str = ""


def state_path(out: Path) -> Path:
    """Return the state file of a result."""
    return out.with_name(f".{out.stem}.state.json")


def machine() -> str:
    """Return 12 digits that differ between machines and between their starts."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    text = platform.node() + (boot.read_text() if boot.is_file() else "")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def state_of(out: Path) -> State | None:
    """Return who makes `out` now; None where nobody does or the process has died.

    A process of another machine counts as alive while its heart beats; the time is taken from the
    file system of the result, so the clocks of the two machines may differ.
    """
    path = state_path(out)
    try:
        state = State(**read_json(path))
        numbers = (state.pid, state.process_started, state.started)
        if state.pid < 1 or not all(math.isfinite(number) for number in numbers):
            return None
        if state.machine == machine():
            return state if _alive(state) else None
        beat = path.stat().st_mtime
    except (UserError, TypeError, ValueError, OverflowError, OSError):
        # Its process may remove the file at any moment.
        return None
    # A beat in the future is that of a wrong clock, whose machine may be long gone.
    return state if abs(_now(path.parent) - beat) < SILENCE_SECONDS else None


def _alive(state: State) -> bool:
    import psutil

    try:
        process = psutil.Process(state.pid)
        # A pid is given again once its process has ended.
        same = abs(float(process.create_time()) - state.process_started) < 1.0
        # A zombie has ended too; its parent has not yet asked how.
        return same and str(process.status()) != "zombie"
    except psutil.NoSuchProcess:
        return False


def _now(folder: Path) -> float:
    """Return the time by the clock of the file system."""
    probe = folder / f".{os.getpid()}.clock"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        probe.unlink(missing_ok=True)


def _wait_for(out: Path) -> None:
    """Return when no other process makes `out`; two would write over each other."""
    said = ""
    while (other := state_of(out)) is not None:
        near = other.machine == machine()
        # A process may begin again what it has stopped itself.
        if near and other.pid == os.getpid():
            return
        told = f"{out}: {_waited_for(other, near)}"
        if told != said:
            warn(told)
            said = told
        time.sleep(WAIT_SECONDS if near else FAR_WAIT_SECONDS)


def _waited_for(other: State, near: bool) -> str:
    """Return who makes the result, until when it is waited for, and how the user can end it."""
    if near:
        return f"process {other.pid} makes it at the moment; waiting"
    silent = f"waiting until it ends or gives no sign of life for {SILENCE_SECONDS:.0f} s"
    if other.job and other.job == slurm_job():
        # SLURM gave the job to another node.
        return f"the former start of this job (SLURM {other.job}) makes it at the moment; {silent}"
    if other.job:
        maker, remedy = f"SLURM job {other.job}", f"scancel {other.job}"
    else:
        maker, remedy = f"process {other.pid}", "cancel its job there"
    return f"{maker} on another machine makes it at the moment; {silent}; to end it: {remedy}"


def slurm_job() -> str:
    """Return SLURM's id of this job, 12 or 12_3 in an array; empty where there is none."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    return os.environ.get("SLURM_JOB_ID", "")


class Running:
    """Context of a run: holds its state file, beats, measures its energy.

    Attributes:
        started: seconds since 1970.
        clock: monotonic seconds at the start.
        startup_s: seconds since the process began.
        energy: of the machine since the start.

    A job that a killed scheduler left behind, here or on another machine, may still make the same
    result: then this one waits.
    """

    def __init__(self, stage: str, out: Path) -> None:
        import psutil

        _wait_for(out)
        process_started = psutil.Process().create_time()
        self.started, self.clock = time.time(), time.monotonic()
        self.startup_s = max(0.0, self.started - process_started)
        self.energy = EnergyMeter()
        self.path = state_path(out)
        self._state = State(
            stage, os.getpid(), machine(), process_started, self.started, slurm_job()
        )
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def _beat(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            self.energy.poll()
            # A file server that is away for a moment does not end the beat.
            with suppress(OSError):
                os.utime(self.path)

    def __enter__(self) -> "Running":
        write_json(self.path, asdict(self._state))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        self.path.unlink(missing_ok=True)
