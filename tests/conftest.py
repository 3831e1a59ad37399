"""Fixtures that more than one test file needs."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# Before any test imports torch: values are compared to the bit, and sums depend on the threads.
os.environ["OMP_NUM_THREADS"] = "1"


class Project:
    """A copy of the project's files in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split("\0")
        for name in filter(None, listed):
            # The copy needs neither tests nor released results; a file may be deleted, uncommitted.
            if not name.startswith(("tests/", "results/")) and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of this Python's environment in the copy; its output is one pipe."""
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell's background jobs ignore interrupts and hand that on; a test may send one.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *command: str, check: bool = True, **environment: str) -> str:
        """Run a command of this Python's environment in the copy; return what it prints."""
        with self.start(*command, **environment) as process:
            printed, _ = process.communicate()
        if check and process.returncode:
            pytest.fail(f"{' '.join(command)} ended with {process.returncode}:\n{printed[-6000:]}")
        return printed

    def snakemake(self, grid: str, *arguments: str, **environment: str) -> str:
        """Run Snakemake on a grid of the copy; return what it prints."""
        return self.run(
            "snakemake", *("--cores", "2", "--config", f"grid={grid}"), *arguments, **environment
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a fresh copy of the project, one for each test file."""
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a copy of the project in which the smoke grid was run on this machine."""
    copy = Project(tmp_path_factory.mktemp("smoke"))
    copy.snakemake("benchmarks/smoke.yaml")
    return copy
