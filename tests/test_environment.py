"""`make env` without making one: the Python it takes, an unwritable home folder, `sista` itself."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from sista.errors import FAULT, explained
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


def subset(extra: str) -> subprocess.CompletedProcess[str]:
    command = [BIN / "python", ROOT / "envs/subset.py", extra]
    return subprocess.run(command, capture_output=True, text=True)


def names(lock: str) -> set[str]:
    return {line.partition("==")[0] for line in lock.splitlines() if line[:1].isalnum()}


def test_a_smaller_environment_is_a_part_of_the_lock():
    lock = (ROOT / "envs" / "requirements.lock").read_text()
    core, cpu = subset("core").stdout, subset("cpu").stdout
    for part in (core, cpu):
        assert all(line in lock for line in part.splitlines())
        assert part.count("--hash=sha256:") >= len(names(part))
        assert not any(name.startswith(("nvidia-", "cuda-", "triton")) for name in names(part))
    assert {"snakemake", "pandas", "mkdocs-material", "jinja2", "hatchling"} <= names(core)
    assert not {"torch", "timm", "mmdet", "moto", "pytest"} & names(core)
    # What torch needs beside CUDA; torch itself comes from its own index.
    assert {"timm", "mmdet", "sympy", "filelock"} <= names(cpu)
    assert not {"torch", "torchvision", "moto"} & names(cpu)
    unknown = subset("gpu")
    assert unknown.returncode == 1
    assert "EXTRAS=gpu: valid: all, core, cpu" in unknown.stderr


def test_one_word_chooses_the_environment(tmp_path):
    done = make_env(tmp_path, "python3.11", options="-n EXTRAS=core")
    assert 'python3.11 envs/subset.py "core" > .uv/wanted.lock' in done.stdout
    assert "--require-hashes --compile-bytecode .uv/wanted.lock" in done.stdout
    assert "torch-backend" not in done.stdout
    assert "echo python3.11 core >" in done.stdout


def test_a_package_that_an_environment_lacks_is_named():
    missing = ModuleNotFoundError("No module named 'torch'", name="torch")
    message, code = explained(missing)
    assert message.startswith("this environment has no package torch; run `make env EXTRAS=all`")
    assert code == 1
    wrapped = ImportError("Cannot import module")
    wrapped.__cause__ = missing
    assert explained(wrapped) == (message, code)
    _, code = explained(ModuleNotFoundError("No module named 'sista.gone'", name="sista.gone"))
    assert code == FAULT


def test_the_package_names_what_it_cannot_start_without():
    """`pip install .` brings it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[^a-z0-9._-]", line.lower())[0] for line in project["dependencies"]}
    assert {"cyclopts", "rich", "pandas", "pydantic", "pyyaml"} <= needed
    assert not {"torch", "timm"} & needed
