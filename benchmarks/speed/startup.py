"""Share of a run's wall time that goes into imports and scheduling; runs a whole grid.

    python benchmarks/speed/startup.py --grid benchmarks/phantom.yaml --out startup.csv

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


def main() -> None:
    """Measure and print; exit with 1 over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", default="benchmarks/phantom.yaml")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, help="a clone without results; default: a copy")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
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
        (f"wall, {label}", wall, "", "s"),
        (f"jobs, {label}", len(spans), "", "jobs"),
        (f"imports of job time, {label}", imports, "", "share"),
        (f"scheduling of wall time, {label}", scheduling, "", "share"),
        (f"start-up of wall time, {label}", share, LIMIT, "share"),
        (f"cores without a job, {label}", 1 - work / (given.cores * wall), "", "share"),
    ]
    for name, measured, limit, unit in figures:
        print(f"{measured:9.3f} {unit:6} {name}{f' (limit {limit})' if limit else ''}")
    if given.out:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        with given.out.open("w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["name", "measured", "limit", "unit", "machine", "date"])
            for name, measured, limit, unit in figures:
                writer.writerow([name, f"{measured:.4g}", limit, unit, machine, date.today()])
    sys.exit(share > LIMIT)


if __name__ == "__main__":
    main()
