"""The state of every job of a grid, from what lies in `results`; asks no scheduler."""

import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sista.grid import plan
from sista.grid.grid import Grid
from sista.runs.heartbeat import state_of

JobState = Literal["done", "running", "failed", "to do"]
STATES: tuple[JobState, ...] = ("done", "running", "failed", "to do")
TAIL_BYTES = 4096


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        stage: word of the stage.
        path: of its result.
        kind: jobs of one kind take about equally long.
        state: done, running, failed (it has a log, and neither a result nor a process) or to do.
        seconds: that it took, or has run so far; None where unknown.
    """

    stage: str
    path: Path
    kind: tuple[str, ...]
    state: JobState
    seconds: float | None

    @property
    def log(self) -> Path:
        """Its log file."""
        if self.stage == "score":
            return self.path.with_suffix(".log")
        return self.path.with_name("log.txt")


def survey(grid: Grid, name: str) -> list[Job]:
    """Return every job of a grid in the order of flow.

    Args:
        grid: the grid.
        name: the grid file's name without suffix.
    """
    kinds = {run.checkpoint: (run.variant, run.encoder) for run in grid.pretrain_runs()}
    kinds |= {run.predictions: (run.head, run.encoder) for run in grid.adapt_runs()}
    return [
        _job(stage, Path(path), kinds.get(path, ()))
        for stage, paths in plan.targets(grid, name).items()
        for path in paths
    ]


def _job(stage: str, path: Path, kind: tuple[str, ...]) -> Job:
    job = Job(stage, path, (stage, *kind), "to do", None)
    state = state_of(path.parent if stage == "report" else path)
    # Asked before the result: that of an earlier run may still lie there.
    if state is not None:
        return Job(stage, path, job.kind, "running", max(0.0, time.time() - state.started))
    if path.is_file():
        return Job(stage, path, job.kind, "done", _seconds(stage, path))
    return Job(stage, path, job.kind, "failed" if job.log.is_file() else "to do", None)


def _seconds(stage: str, path: Path) -> float | None:
    beside = path.with_name(f"{path.stem}.run.json" if stage == "score" else "run.json")
    try:
        record = json.loads(beside.read_text())
        seconds = float(record["wall_s"]) + float(record["startup_s"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return seconds if 0 <= seconds < math.inf else None


def seconds_left(jobs: list[Job]) -> dict[str, float | None]:
    """Return by stage the seconds until its jobs are done; None where no time is known yet.

    Jobs to do take the mean of the finished ones of their kind, else of their stage. As many run
    at a time as run now.
    """
    took: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for job in jobs:
        if job.state == "done" and job.seconds is not None:
            took[job.kind].append(job.seconds)
            if len(job.kind) > 1:
                took[job.kind[:1]].append(job.seconds)
    parallel = max(1, sum(job.state == "running" for job in jobs))
    left: dict[str, float | None] = {}
    for stage in dict.fromkeys(job.stage for job in jobs):
        waiting = [job for job in jobs if job.stage == stage and job.state != "done"]
        known = [took.get(job.kind) or took.get(job.kind[:1]) for job in waiting]
        # One unknown kind of job makes the sum unknown; a guess would read as a promise.
        if any(times is None for times in known):
            left[stage] = None
            continue
        spent = [job.seconds or 0.0 if job.state == "running" else 0.0 for job in waiting]
        each = [sum(times) / len(times) for times in known if times]
        rest = sum(max(0.0, mean - s) for mean, s in zip(each, spent, strict=True))
        left[stage] = rest / parallel
    return left


def last_line(log: Path) -> str:
    """Return the last line of a log that says something, or nothing."""
    lines = list(_tail(log))
    return lines[-1] if lines else ""


def _tail(log: Path) -> Iterator[str]:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return
    # A progress bar returns to the start of its line instead of ending it.
    for line in text.replace("\r", "\n").splitlines():
        if line.strip():
            yield line.strip()
