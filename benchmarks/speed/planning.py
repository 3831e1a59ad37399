"""Seconds of starting and planning: `make bench`. Runs nothing, needs no data and no torch."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent


def seconds(*command: str) -> float:
    """Return the best of three runs of a command."""
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    """Print one line per command."""
    snakemake = (str(BIN / "snakemake"), "-n", "--cores", "1", "--config")
    commands = {"python -m sista --help": (sys.executable, "-m", "sista", "--help")}
    commands["python -m sista list"] = (sys.executable, "-m", "sista", "list")
    for grid in sorted((ROOT / "benchmarks").glob("*.yaml")):
        name = grid.relative_to(ROOT).as_posix()
        commands[f"plan {name}"] = (*snakemake, f"grid={name}")
    for name, command in commands.items():
        print(f"{seconds(*command):6.2f} s  {name}", flush=True)


if __name__ == "__main__":
    main()
