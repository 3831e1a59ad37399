"""`--use-conda` with the real envs/, on a test double of conda (no channel is reached)."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sista.grid import plan
from sista.lineage.verify import record_paths
from sista.runs.record import record_path
from tests.conftest import BIN, ROOT, Project

pytestmark = pytest.mark.slow
DOUBLE = ROOT / "tests" / "conda_double"
COMMAND = """#!/bin/sh
exec {python} {double}/command.py "$@"
"""
GRID = "grid=benchmarks/smoke.yaml"
# Laid into an environment: each start of its Python is told, with the command line.
TELL = (
    "import json, os, sys; file = os.environ.get('STARTS'); "
    "file and open(file, 'a').write(json.dumps([sys.prefix, *sys.orig_argv]) + '\\n')\n"
)


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment variables with which `conda` is the test double."""
    base = tmp_path_factory.mktemp("conda")
    subprocess.run([sys.executable, "-m", "venv", base / "rattler"], check=True)
    python = base / "rattler" / "bin" / "python"
    lock = DOUBLE / "requirements.lock"
    pip = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock]
    subprocess.run(pip, check=True)
    subprocess.run([python, DOUBLE / "channel.py", base / "channel"], check=True)
    command = base / "condabin" / "conda"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=python, double=DOUBLE))
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), str(BIN), os.environ["PATH"]])
    return {"CONDA_DOUBLE": str(base), "PATH": path}


@pytest.fixture(scope="module")
def built(conda: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a copy of the project whose smoke grid was run in conda environments.

    What their Python was started for stands in `starts.txt`.
    """
    project = Project(tmp_path_factory.mktemp("built"))
    only = ("--use-conda", "--conda-create-envs-only")
    project.snakemake("benchmarks/smoke.yaml", *only, **conda)
    for made in environments(project):
        (packages(made) / "tell.pth").write_text(TELL)
    starts = str(project.folder / "starts.txt")
    project.snakemake("benchmarks/smoke.yaml", "--use-conda", STARTS=starts, **conda)
    return project


def environments(project: Project) -> list[Path]:
    """Return the environments that Snakemake has made."""
    return [path for path in (project.folder / ".snakemake" / "conda").iterdir() if path.is_dir()]


def packages(environment: Path) -> Path:
    """Return where an environment's packages lie, whatever its Python."""
    (folder,) = (environment / "lib").glob("python3.*/site-packages")
    return folder


def change_lock(project: Project, text: str) -> None:
    """Change the lock as `make lock` does."""
    (project.folder / "envs" / "requirements.lock").write_text(text)
    script = project.folder / "envs" / "sista.post-deploy.sh"
    checksum = hashlib.sha256(text.encode()).hexdigest()
    changed = re.sub(r"lock_sha256=\w+", f"lock_sha256={checksum}", script.read_text())
    script.write_text(changed)


def test_the_smoke_grid_gives_the_same_bits_in_conda_environments(built, smoke):
    (made,) = environments(built)
    assert (packages(made) / "torch").is_dir()
    started = [json.loads(line) for line in (built.folder / "starts.txt").read_text().splitlines()]
    jobs = [words for words in started if words[2:4] == ["-m", "sista"]]
    assert {words[0] for words in jobs} == {str(made.resolve())}
    outs = [(words[4], Path(words[words.index("--out") + 1])) for words in jobs]
    records = {built.folder / record_path(stage, out) for stage, out in outs}
    # Every result was made by the Python of the environment, by no other that is on the PATH.
    assert records == set(record_paths(built.folder / "results"))
    assert {stage for stage, _ in outs} == set(plan.STAGES)
    tables = [str(copy.folder / "results" / "score" / "smoke.parquet") for copy in (smoke, built)]
    assert "equal values" in smoke.run("python", "-m", "sista", "compare", *tables)


def test_a_changed_lock_makes_a_new_environment(conda, built):
    only = ("--use-conda", "--conda-create-envs-only")
    (before,) = environments(built)
    built.snakemake("benchmarks/smoke.yaml", *only, **conda)
    assert environments(built) == [before]
    lock = (built.folder / "envs" / "requirements.lock").read_text()
    small = re.search(r"^zipp==.*?(?=^\w)", lock + "end", re.M | re.S)
    assert small is not None
    change_lock(built, small[0])
    built.snakemake("benchmarks/smoke.yaml", *only, **conda)
    (after,) = set(environments(built)) - {before}
    assert (packages(after) / "zipp").is_dir()
    assert not (packages(after) / "torch").exists()


def test_a_lock_that_is_not_the_scripts_own_is_refused(conda, tmp_path):
    project = Project(tmp_path)
    lock = project.folder / "envs" / "requirements.lock"
    lock.write_text(lock.read_text() + "# edited\n")
    command = ("snakemake", "--cores", "1", "--use-conda", "--conda-create-envs-only")
    printed = project.run(*command, "--config", GRID, check=False, **conda)
    assert "run 'make lock'" in printed
