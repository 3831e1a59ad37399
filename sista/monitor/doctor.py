"""Verb `doctor`: what this machine has, and what each grid would need of it. No torch here."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sista import registry
from sista.datasets._card import Dataset
from sista.errors import UserError, printable
from sista.grid import plan
from sista.grid.grid import Grid
from sista.monitor.needs import needs
from sista.monitor.preflight import lacking
from sista.runs import provenance

Line = tuple[str, str]
ANSWER_SECONDS = 10.0


def doctor(*, grids: Path = Path("benchmarks")) -> None:
    """Say what this machine has: Python, GPU, SLURM, conda, data sets, disk; and what grids need.

    Nothing is started or changed. `sista check` says in full what one grid lacks.

    Args:
        grids: folder of grid files, or one grid.
    """
    files = sorted(grids.glob("*.yaml")) if grids.is_dir() else [grids]
    if not files:
        raise UserError(f"{grids}: holds no grid file (*.yaml); name another folder")
    if not files[0].is_file():
        raise UserError(f"{grids}: no such grid file or folder; name one with --grids")
    wide = Console(highlight=False, width=None if Console().is_terminal else 160)
    for title, lines in (
        ("This machine", [*_programs(), *_room()]),
        ("Data sets", list(_datasets())),
        ("Grids", [_grid(file) for file in files]),
    ):
        table = Table(title=title, title_justify="left", title_style="bold", box=None)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for name, told in lines:
            table.add_row(Text(printable(name)), Text(printable(told)))
        table.show_header = False
        wide.print(table)


def _programs() -> Iterator[Line]:
    """Yield the processor and the programs that jobs may use."""
    host = provenance.host()
    yield "processor", f"{host['cpu']}, {host['cores']} cores; bits {host['bits']}"
    yield "Python", f"{platform.python_version()}, torch {_version('torch')}"
    yield "GPU", _answer("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    yield "SLURM", _answer("sinfo", "--version")
    yield "conda", _answer("conda", "--version")
    yield "DVC", _version("dvc")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _answer(*command: str) -> str:
    """Return what a program prints, on one line, or why there is nothing to say."""
    if shutil.which(command[0]) is None:
        return f"none ({command[0]} is not on the PATH)"
    try:
        done = subprocess.run(  # noqa: S603 (fixed words)
            command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]} gives no answer: {type(error).__name__}"
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        return f"{command[0]} fails: {said[0][:100]}"
    return "; ".join(done.stdout.split("\n")).strip("; ")


def _room() -> Iterator[Line]:
    """Yield memory and disk."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield "memory", f"{pages / 2**30:.0f} GB"
    for name in ("results", "data"):
        place = Path(name) if Path(name).exists() else Path()
        yield f"disk of {name}/", f"{shutil.disk_usage(place).free / 1e9:.0f} GB free"


def _datasets() -> Iterator[Line]:
    """Yield for each data set where it lies, or that it is not there."""
    root = os.environ.get("SISTA_DATA")
    if not root:
        yield "SISTA_DATA", "not set: only the phantom runs (NAME@phantom)"
        return
    for word in registry.names("datasets"):
        dataset: Dataset = registry.find("datasets", word)
        try:
            _, release = dataset.find(None)
        except UserError as error:
            # The first line names the place; `sista check` gives the rest.
            if (Path(root) / word).exists():
                yield word, f"not usable: {str(error).splitlines()[0]}"
            continue
        yield word, f"found, release {release}"


def _grid(file: Path) -> Line:
    """Return a grid's jobs, and how many of its sources are missing."""
    try:
        grid = Grid.load(file)
    except UserError as error:
        return file.name, f"cannot be read: {str(error).splitlines()[0]}"
    targets = plan.targets(grid, file.stem)
    jobs = ", ".join(f"{len(paths)} {stage}" for stage, paths in targets.items() if paths)
    fetches = [Path(path).parent.name for path in targets["fetch"]]
    trained = [(run.variant, run.encoder) for run in grid.pretrain_runs()]
    missing = len(list(lacking(grid, fetches, trained)))
    need = f"lacks {missing} sources: sista check --grid {file}" if missing else "can run here"
    return file.name, f"{need} ({jobs}); {needs(grid, targets)}"
