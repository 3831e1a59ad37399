"""Share of a run's wall time that goes into imports and scheduling; runs a whole grid.

    python benchmarks/speed/startup.py --grid benchmarks/phantom.yaml --out startup.csv
    python benchmarks/speed/startup.py --verbs --out verbs.csv     # first output of each verb

The grid runs in a copy of the project, or in a fresh clone (`--folder .`), with Python's own import
timer on (PYTHONPROFILEIMPORTTIME), whose lines the jobs' logs collect. Scheduling is the time in
which no job runs: Snakemake's start, its planning and the gaps between jobs. Cores without a job
also count the end of a stage, when there is less to do than there are cores. Columns of the CSV:
name, measured, limit, unit, machine, date.
"""

import argparse
import csv
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
LIMIT = 0.35
# Seconds until a verb says something.
FIRST = 1.5
# Name, measured, limit (0 = none), unit.
Figure = tuple[str, float, float, str]
SCORES = "results/released/phantom/scores.parquet"
CALLS = (
    "--help",
    "list",
    "list encoders",
    "doctor",
    "check benchmarks/phantom.yaml",
    "status --grid benchmarks/phantom.yaml",
    f"show {SCORES}",
    f"compare {SCORES} {SCORES}",
    "schema",
    "verify",
    *(f"{verb} --help" for verb in "fetch prepare pretrain adapt score report".split()),
    *(
        f"{verb} --help"
        for verb in "import new watch similarity trace reproduce crate site".split()
    ),
    "audit --help",
    "audit split --help",
    "submit check --help",
    "score --grid absent.yaml --out x.parquet",
    "report --grid absent.yaml --scores x.parquet --out x",
)
# self [us] | cumulative | imported package; modules imported by others are indented.
TOP_LEVEL = re.compile(r"^import time:\s+\d+ \|\s+(\d+) \| (\S+)$", re.M)


def copy(folder: Path) -> Path:
    """Copy the project into an empty folder."""
    for part in ("Snakefile", "benchmarks", "envs", "sista", "workflow"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part)
        else:
            shutil.copy2(source, folder / part)
    return folder


def run(grid: str, cores: int, folder: Path) -> float:
    """Run the grid in a project without results; return seconds."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    timer = {"PYTHONPROFILEIMPORTTIME": "1", "PATH": path, "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    subprocess.run(
        [str(BIN / "snakemake"), "--cores", str(cores), "--config", f"grid={grid}"],
        cwd=folder,
        env={**os.environ, **timer},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def import_seconds(log: Path) -> float:
    """Return the seconds of all outermost imports in a log."""
    return sum(int(found) for found, _ in TOP_LEVEL.findall(log.read_text())) / 1e6


def jobs(results: Path) -> list[tuple[float, float, float]]:
    """Return start, end and import seconds of each job."""
    found = []
    for path in sorted([*results.rglob("run.json"), *results.rglob("*.run.json")]):
        record = json.loads(path.read_text())
        begun = datetime.fromisoformat(record["started"]).timestamp()
        log = path.with_name("log.txt")
        if path.name != "run.json":
            log = path.with_name(path.name.replace(".run.json", ".log"))
        # The report of an older run has no log.
        spent = import_seconds(log) if log.is_file() else record["startup_s"]
        found.append((begun - record["startup_s"], begun + record["wall_s"], spent))
    return found


def busy_seconds(spans: list[tuple[float, float, float]]) -> float:
    """Return the seconds in which at least one job ran."""
    total, end = 0.0, 0.0
    for begun, ended, _ in sorted(spans):
        total += max(0.0, ended - max(begun, end))
        end = max(end, ended)
    return total


def verbs() -> list[Figure]:
    """Return the time to the first output of each verb, and its CPU time, which is no others'.

    A verb that looks is called as a user does; of one that works its help is timed, and what it
    says of a file that is not there, which is as far as its first line.
    """
    figures: list[Figure] = []
    for words in CALLS:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        command = [str(BIN / "sista"), *words.split()]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None
            assert process.stdout.read(1), words
            first = time.perf_counter() - started
            process.stdout.read()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        figures.append((f"sista {words}, first output", first, FIRST, "s"))
        figures.append((f"sista {words}, CPU", spent, 0, "s"))
    return figures


def write(figures: list[Figure], out: Path | None) -> None:
    """Print the figures and write them as CSV."""
    for name, measured, limit, unit in figures:
        print(f"{measured:9.3f} {unit:6} {name}{f' (limit {limit})' if limit else ''}")
    if out:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        with out.open("w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["name", "measured", "limit", "unit", "machine", "date"])
            for name, measured, limit, unit in figures:
                writer.writerow([name, f"{measured:.4g}", limit or "", unit, machine, date.today()])


def main() -> None:
    """Measure and print; exit with 1 over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbs", action="store_true", help="time each verb instead of a grid")
    parser.add_argument("--grid", default="benchmarks/phantom.yaml")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, help="a clone without results; default: a copy")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.verbs:
        figures = verbs()
        write(figures, given.out)
        sys.exit(any(limit and measured > limit for _, measured, limit, _ in figures))
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or copy(Path(name))
        if spans := jobs(folder / "results"):
            sys.exit(f"{folder / 'results'}: has {len(spans)} finished jobs; begin without results")
        wall = run(given.grid, given.cores, folder)
        spans = jobs(folder / "results")
    work = sum(ended - begun for begun, ended, _ in spans)
    imports = sum(spent for *_, spent in spans) / work
    scheduling = max(0.0, wall - busy_seconds(spans)) / wall
    # While a job runs, its imports take their share of that time.
    share = scheduling + (1 - scheduling) * imports
    label = f"{given.grid}, {given.cores} cores"
    figures = [
        (f"wall, {label}", wall, 0, "s"),
        (f"jobs, {label}", len(spans), 0, "jobs"),
        (f"imports of job time, {label}", imports, 0, "share"),
        (f"scheduling of wall time, {label}", scheduling, 0, "share"),
        (f"start-up of wall time, {label}", share, LIMIT, "share"),
        (f"cores without a job, {label}", 1 - work / (given.cores * wall), 0, "share"),
    ]
    write(figures, given.out)
    sys.exit(share > LIMIT)


if __name__ == "__main__":
    main()
