"""Verbs `status` and `watch`: counts of jobs, what runs, what failed and why, time left."""

import sys
import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sista.grid.grid import Grid
from sista.monitor.survey import STATES, Job, last_line, seconds_left, survey
from sista.runs.options import Seconds

SHOWN = 8
# In a log file: a line at least this often.
LOG_EVERY_SECONDS = 60.0


def status(grid: Path = Path("benchmarks/phantom.yaml")) -> None:
    """Print for each stage how many jobs of a grid are done, running, failed and to do.

    The time left is an estimate from the finished jobs. `snakemake -n` also knows which results
    are out of date, and `sista verify` which were altered.

    Args:
        grid: the grid file.
    """
    jobs = survey(Grid.load(grid), grid.stem)
    # In a pipe there is no width to wrap at.
    Console(width=None if sys.stdout.isatty() else 200).print(view(jobs, str(grid)))


def watch(grid: Path = Path("benchmarks/phantom.yaml"), *, every: Seconds = 2.0) -> None:
    """Show the state of a grid until all its jobs are done; starts and changes nothing.

    On a terminal a live table. In a log file one line where something has changed, else one a
    minute. End it with Ctrl-C.

    Args:
        grid: the grid file.
        every: seconds between two looks.
    """
    compared = Grid.load(grid)
    jobs = survey(compared, grid.stem)
    try:
        if sys.stdout.isatty():
            with Live(view(jobs, str(grid)), auto_refresh=False) as live:
                while not _finished(jobs):
                    time.sleep(every)
                    jobs = survey(compared, grid.stem)
                    live.update(view(jobs, str(grid)), refresh=True)
        else:
            _watch_in_log(compared, grid.stem, every)
    except KeyboardInterrupt:
        return


def _finished(jobs: list[Job]) -> bool:
    return all(job.state == "done" for job in jobs)


def _watch_in_log(grid: Grid, name: str, every: float) -> None:
    said, when = "", 0.0
    while True:
        jobs = survey(grid, name)
        counts = line(jobs, with_time=False)
        if counts != said or time.monotonic() - when > LOG_EVERY_SECONDS:
            said, when = counts, time.monotonic()
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line(jobs)}", flush=True)
        if _finished(jobs):
            return
        time.sleep(every)


def line(jobs: list[Job], with_time: bool = True) -> str:
    """Return the state of all jobs in one line."""
    parts = [f"{_count(jobs, state)} {state}" for state in STATES]
    running = [job for job in jobs if job.state == "running"]
    names = ", ".join(_name(job) for job in running[:3])
    text = " · ".join(parts) + (f" · now: {names}" if names else "")
    return f"{text} · left: {_left(list(seconds_left(jobs).values()))}" if with_time else text


def view(jobs: list[Job], title: str) -> Group:
    """Return counts by stage with the time left, then what runs and what failed."""
    table = Table("stage", *STATES, "left", title=title, title_justify="left", box=None)
    left = seconds_left(jobs)
    for stage, seconds in left.items():
        own = [job for job in jobs if job.stage == stage]
        table.add_row(stage, *(str(_count(own, state)) for state in STATES), _left([seconds]))
    table.add_row("all", *(str(_count(jobs, s)) for s in STATES), _left(list(left.values())))
    lines = []
    for state, style in (("running", "cyan"), ("failed", "red")):
        own = [job for job in jobs if job.state == state]
        for job in own[:SHOWN]:
            time_text = f" {_duration(job.seconds)}" if job.seconds is not None else ""
            tail = last_line(job.log)
            lines.append(Text(f"{state}: {_name(job)}{time_text} · {tail}", style=style))
            if state == "failed":
                lines.append(Text(f"    log: {job.log}"))
        if len(own) > SHOWN:
            lines.append(Text(f"... and {len(own) - SHOWN} more {state}"))
    first = next((job for job in jobs if job.state == "to do"), None)
    if first is not None:
        lines.append(Text(f"next to do: {first.path}"))
    return Group(table, *lines)


def _count(jobs: list[Job], state: str) -> int:
    return sum(job.state == state for job in jobs)


def _name(job: Job) -> str:
    """Return the path of a result without what is the same for all of its stage."""
    parts = job.path.with_suffix("").parts
    return "/".join(parts[1:-1] if len(parts) > 3 else parts[1:])


def _left(seconds: list[float | None]) -> str:
    """Return a sum of times as text; unknown where one of them is."""
    known = [value for value in seconds if value is not None]
    return _duration(sum(known)) if len(known) == len(seconds) else "unknown"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
