"""Kill test: a grid killed -9 at a random moment and resumed once ends with the same bits.

    python -m tests.killed --runs 25 --out results/released/kill_test.csv

Each run starts in a fresh copy of the project. The scheduler and its jobs are killed together, the
scheduler alone (its jobs go on as orphans), or one job alone. Then the documented commands are
given once: `snakemake --unlock`, `snakemake --rerun-incomplete`. Columns: run, seed, what was
killed, after how many seconds, files done then, exit code and seconds of the resumed run, score
differences, findings of `sista verify`, unfinished files left.
"""

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

from sista import tables
from sista.lineage.compare import differing
from sista.runs.record import LEFTOVER
from tests.conftest import BIN, Project

TARGETS = ("all", "scheduler", "job")
# Far longer than a run of the smoke grid, in seconds.
HANGS = 900
RESULTS = ("encoder.safetensors", "predictions.parquet", "inventory.parquet", "manifest.parquet")


@dataclass(frozen=True)
class Outcome:
    """One killed and resumed run."""

    run: int
    seed: int
    killed: str
    after_s: float
    done_then: int
    resumed_code: int
    resumed_s: float
    differences: int
    findings: int
    left_over: int

    @property
    def good(self) -> bool:
        return not (self.resumed_code or self.differences or self.findings or self.left_over)


def snakemake(project: Project, grid: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Snakemake in a session of its own, its output in a file beside the project."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    with (project.folder / "snakemake.log").open("ab") as log:
        return subprocess.Popen(
            [str(BIN / "snakemake"), "--cores", "2", "--config", f"grid={grid}", *arguments],
            cwd=project.folder,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def ended(scheduler: subprocess.Popen[bytes]) -> int:
    """Wait for a scheduler and return its exit code.

    Raises:
        subprocess.TimeoutExpired: it hangs; it and its jobs are killed.
    """
    try:
        return scheduler.wait(timeout=HANGS)
    except subprocess.TimeoutExpired:
        os.killpg(scheduler.pid, signal.SIGKILL)
        raise


def whole(folder: Path, grid: str) -> tuple[Path, float]:
    """Run the grid without a disturbance; return its scores and seconds."""
    project = Project(folder)
    started = time.monotonic()
    if ended(snakemake(project, grid)):
        raise SystemExit((folder / "snakemake.log").read_text()[-3000:])
    return folder / "results" / "score" / f"{Path(grid).stem}.parquet", time.monotonic() - started


def stages_of(scheduler: psutil.Process) -> list[psutil.Process]:
    """Return the processes of stages that a scheduler has started."""
    found = []
    for process in scheduler.children(recursive=True):
        try:
            command = process.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if command[1:3] == ["-m", "sista"]:
            found.append(process)
    return found


def kill(scheduler: subprocess.Popen[bytes], target: str, chance: random.Random) -> str:
    """Kill; return what was: a run between two jobs has no job to kill."""
    if target == "job":
        jobs = stages_of(psutil.Process(scheduler.pid))
        if jobs:
            victim = chance.choice(jobs)
            stage = victim.cmdline()[3]
            victim.kill()
            # Snakemake waits for what holds the job's log: a worker left behind would hang it.
            scheduler.wait(timeout=HANGS)
            return f"job {stage}"
        target = "all"
    if target == "scheduler":
        scheduler.kill()
    else:
        os.killpg(scheduler.pid, signal.SIGKILL)
    scheduler.wait()
    return target


def disturb(
    folder: Path, grid: str, run: int, chance: random.Random, longest: float
) -> tuple[Project, str, float]:
    """Start the grid in an empty folder and kill it; return the project, what, after how long.

    A run that ends before its moment starts again from nothing, with a moment within its own time.
    """
    while True:
        project = Project(folder)
        moment = chance.uniform(0.02, 0.98) * longest
        scheduler = snakemake(project, grid)
        started = time.monotonic()
        while time.monotonic() - started < moment and scheduler.poll() is None:
            time.sleep(0.02)
        after = time.monotonic() - started
        if scheduler.poll() is None:
            return project, kill(scheduler, TARGETS[run % 3], chance), after
        shutil.rmtree(folder)
        folder.mkdir()
        longest = after


def one(folder: Path, grid: str, run: int, seed: int, wanted: Path, longest: float) -> Outcome:
    """Kill a run of the grid, resume it once and compare.

    Args:
        folder: empty, for a copy of the project.
        grid: grid file.
        run: number of the run; decides what is killed.
        seed: decides when.
        wanted: scores of the undisturbed run.
        longest: its seconds.
    """
    folder.mkdir(parents=True)
    project, killed, after = disturb(folder, grid, run, random.Random(seed), longest)
    results = folder / "results"
    done = sum(len(list(results.rglob(name))) for name in RESULTS)
    ended(snakemake(project, grid, "--unlock"))
    started = time.monotonic()
    code = ended(snakemake(project, grid, "--rerun-incomplete"))
    seconds = time.monotonic() - started
    scores = results / "score" / wanted.name
    differences = -1
    if scores.is_file():
        both = (tables.read(path, "scores")[0] for path in (wanted, scores))
        differences = len(list(differing(*both)))
    told = project.run("python", "-m", "sista", "verify", check=False)
    findings = int(told.rsplit(" findings", 1)[0].rsplit(" ", 1)[-1])
    left = [p for p in results.rglob(".*") if LEFTOVER.match(p.name)]
    return Outcome(
        run,
        seed,
        killed,
        round(after, 1),
        done,
        code,
        round(seconds, 1),
        differences,
        findings,
        len(left),
    )


def kill_test(runs: int, grid: str, out: Path, first: int = 0) -> list[Outcome]:
    """Kill and resume `runs` runs; write a line for each as it ends."""
    outcomes = []
    with tempfile.TemporaryDirectory() as name, out.open("w", newline="") as stream:
        folder = Path(name)
        writer = csv.DictWriter(stream, [f.name for f in fields(Outcome)], lineterminator="\n")
        writer.writeheader()
        wanted, longest = whole(folder / "whole", grid)
        print(f"undisturbed: {longest:.1f} s", flush=True)
        for run in range(first, first + runs):
            place = folder / f"run{run}"
            outcome = one(place, grid, run, 1000 + run, wanted, longest)
            outcomes.append(outcome)
            writer.writerow(asdict(outcome))
            stream.flush()
            print(f"{'ok ' if outcome.good else 'NOT'} {asdict(outcome)}", flush=True)
            if not outcome.good:
                print((place / "snakemake.log").read_text()[-3000:], flush=True)
    return outcomes


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--grid", default="benchmarks/smoke.yaml")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    outcomes = kill_test(given.runs, given.grid, given.out, given.first)
    sys.exit(0 if all(each.good for each in outcomes) else 1)


if __name__ == "__main__":
    main()
