"""`make env` without making one: the Python it takes, an unwritable home folder, `sista` itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, ROOT

# Root may write anywhere: here a folder cannot be made by anyone.
NOWHERE = "/dev/null/home"


def make_env(folder: Path, *pythons: str, options: str = "") -> subprocess.CompletedProcess[str]:
    """Run `make env` in a folder where only these Pythons, and one without venv, are there."""
    for name in ("sh", "make", "cat"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name in ("envs", "pyproject.toml", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    for name in {"python3.13", *pythons}:
        (folder / name).write_text(f"#!/bin/sh\nexit {int(name not in pythons)}\n")
        (folder / name).chmod(0o755)
    command = ("make", "env", *options.split())
    return subprocess.run(
        command, cwd=folder, env={"PATH": str(folder)}, capture_output=True, text=True
    )


@pytest.mark.parametrize("pythons", [["python3.11"], ["python3.12", "python3.11"], ["python3.13"]])
def test_the_newest_python_with_venv_is_taken(pythons, tmp_path):
    done = make_env(tmp_path, *pythons, options="-n")
    assert done.returncode == 0, done.stderr
    assert f"{pythons[0]} -m venv" in done.stdout
    assert f"--python {pythons[0]} .venv" in done.stdout


def test_without_a_python_the_remedy_is_told(tmp_path):
    done = make_env(tmp_path)
    assert done.returncode != 0
    assert "there is no Python 3.13, 3.12 or 3.11 with venv: install one" in done.stderr
    assert "make env PYTHON=/path/to/python3.12" in done.stderr


def test_the_installed_command_returns_the_exit_code():
    done = subprocess.run(
        [BIN / "sista", "status", "--grid", "absent.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: absent.yaml: no such grid")


def test_a_home_folder_that_cannot_be_written_is_no_hindrance(project):
    # `-o env`: this Python's environment serves.
    unset = ("env", "-u", "XDG_CACHE_HOME", "-u", "XDG_CONFIG_HOME")
    run = ("make", "-o", "env", "run", "GRID=benchmarks/smoke.yaml", "CORES=1", "ARGS=-n")
    assert "Job stats" in project.run(*unset, *run, HOME=NOWHERE)
    assert (project.folder / ".cache" / "snakemake").is_dir()
    assert "rsna_pneumonia" in project.run(*unset, "sista", "list", "datasets", HOME=NOWHERE)


def test_the_lock_has_one_version_of_each_package_for_all_pythons():
    lines = (ROOT / "envs" / "requirements.lock").read_text().splitlines()
    names = [line.partition("==")[0] for line in lines if line[:1].isalnum()]
    assert len(names) == len(set(names))
