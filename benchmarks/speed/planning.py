"""Seconds and memory of starting and planning: `make bench`. Runs no stage, needs no data.

Each figure is the least of three runs: a busy machine slows some of them.

`--out FILE.csv` writes name, measured, limit, unit, machine, date.
"""

import argparse
import csv
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
SNAKEMAKE = str(BIN / "snakemake")
SIZES = (100, 1000, 5000)
# Of each size: 5 variants × seeds, each with 1 pre-training and 3 adaptations.
JOBS_PER_SEED = 20


@dataclass(frozen=True)
class Figure:
    """One measured value; `limit` is what it must stay under, None where none is set."""

    name: str
    measured: float
    limit: float | None
    unit: str


def run(command: list[str], folder: Path, repeats: int = 1) -> tuple[float, float, float]:
    """Return the least wall seconds and processor seconds of a command, and its peak MB."""
    wall, processor, peak = float("inf"), float("inf"), 0.0
    for _ in range(repeats):
        started = time.perf_counter()
        with tempfile.TemporaryFile() as told:
            child = subprocess.Popen(command, cwd=folder, stdout=told, stderr=told, env=clean())
            _, code, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(code)
            if child.returncode:
                told.seek(0)
                raise SystemExit(f"{command}: {told.read().decode()[-3000:]}")
        wall = min(wall, time.perf_counter() - started)
        processor = min(processor, usage.ru_utime + usage.ru_stime)
        peak = max(peak, usage.ru_maxrss / 1024)
    return wall, processor, peak


def clean() -> dict[str, str]:
    """Return the environment without data: planning must not need it."""
    kept = {name: value for name, value in os.environ.items() if name != "SISTA_DATA"}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def dry_run(grid: str) -> list[str]:
    """Return the command that plans a grid."""
    return [SNAKEMAKE, "-n", "--quiet", "all", "--cores", "1", "--config", f"grid={grid}"]


def sized_grid(jobs: int) -> str:
    """Return a grid of about `jobs` jobs."""
    adapt = [
        {"protocol": "quick_v1", "dataset": "chexpert@phantom", "task": "classification"},
        {"protocol": "quick_v1", "dataset": "rsna_pneumonia@phantom", "task": "segmentation"},
        {"protocol": "quick_v1", "dataset": "rsna_pneumonia@phantom", "task": "detection"},
    ]
    variants = {f"clip_{i}": {"method": "clip", "temperature": 0.05 * (1 + i)} for i in range(5)}
    grid = {"budget": "quick", "corpus": "mimic_cxr@phantom", "encoders": ["resnet_tiny"]}
    seeds = {"seeds": list(range(jobs // JOBS_PER_SEED))}
    return yaml.safe_dump({**grid, "variants": variants, **seeds, "adapt": adapt})


def starts() -> Iterator[Figure]:
    """Yield the seconds until the command line answers."""
    for verb in ("--help", "list"):
        seconds, *_ = run([sys.executable, "-m", "sista", verb], ROOT, repeats=3)
        yield Figure(f"sista {verb}", seconds, None, "s")


def plans() -> Iterator[Figure]:
    """Yield the seconds of planning every grid of the project."""
    for grid in sorted((ROOT / "benchmarks").glob("*.yaml")):
        name = grid.relative_to(ROOT).as_posix()
        limit = 10.0 if grid.stem == "paper" else None
        seconds, *_ = run(dry_run(name), ROOT, repeats=3)
        yield Figure(f"plan {name}", seconds, limit, "s")


def sizes() -> Iterator[Figure]:
    """Yield seconds and memory of planning 100, 1,000 and 5,000 jobs, and the cost of a job."""
    found: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for jobs in SIZES:
            grid = Path(folder) / f"jobs{jobs}.yaml"
            grid.write_text(sized_grid(jobs))
            seconds, found[jobs], peak = run(dry_run(str(grid)), ROOT, repeats=3)
            limit = 10.0 if jobs == max(SIZES) else None
            yield Figure(f"plan {jobs} jobs", seconds, limit, "s")
            yield Figure(f"plan {jobs} jobs, processor", found[jobs], None, "s")
            yield Figure(f"plan {jobs} jobs, memory", peak, limit and 1024.0, "MB")
            status = [sys.executable, "-m", "sista", "status", "--grid", str(grid)]
            yield Figure(f"status {jobs} jobs", run(status, ROOT, repeats=3)[0], None, "s")
    small, middle, large = SIZES
    first = (found[middle] - found[small]) / (middle - small)
    second = (found[large] - found[middle]) / (large - middle)
    yield Figure("cost of a job, 1,000 to 5,000 over 100 to 1,000", second / first, 1.5, "ratio")


def nothing_to_do() -> Iterator[Figure]:
    """Yield the seconds of a finished phantom grid; its stages are stubs, its graph is real."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("Snakefile", "benchmarks", "envs", "sista", "workflow"):
            source = ROOT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, folder / part)  # type: ignore[operator]
        shutil.copy(ROOT / "tests" / "stub_stages.py", folder / "sista" / "__main__.py")
        command = [SNAKEMAKE, "--cores", "2", "--quiet", "all"]
        run(command, folder)
        seconds, *_ = run(command, folder, repeats=3)
        yield Figure("nothing to do, phantom grid", seconds, 8.0, "s")


PARTS = {"starts": starts, "plans": plans, "sizes": sizes, "nothing_to_do": nothing_to_do}


def main() -> None:
    """Print one line per figure; exit with 1 where one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="CSV file to write")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    found = []
    for part in given.only:
        for figure in PARTS[part]():
            limit = "" if figure.limit is None else f"  (limit {figure.limit:g})"
            print(f"{figure.measured:9.2f} {figure.unit:5}  {figure.name}{limit}", flush=True)
            found.append(figure)
    if given.out:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        with given.out.open("w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["name", "measured", "limit", "unit", "machine", "date"])
            for name, measured, limit, unit in map(astuple, found):
                shown = "" if limit is None else limit
                writer.writerow([name, f"{measured:.4g}", shown, unit, machine, date.today()])
    over = [each.name for each in found if each.limit is not None and each.measured > each.limit]
    if over:
        sys.exit(f"over the limit: {', '.join(over)}")


if __name__ == "__main__":
    main()
