"""Faults of disks, clocks and schedulers: each is explained, and repaired by a documented command.

The commands stand in results/README.md. Damaged results and raw data are named
in tests/lineage/test_verify.py and made again in tests/test_workflow.py.
"""

import os
import shutil
import signal
import subprocess
import time

import pytest

from sista.errors import UserError
from sista.lineage.verify import check, record_paths
from sista.stages.prepare import prepare
from tests.conftest import BIN, ROOT, Project
from tests.raw_trees import chexpert

GRID = """
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants: [clip]
draws: [0]
fractions: [10]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}
"""


class Disk:
    """A small disk of its own, in memory."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True
        )
        if done.returncode:
            pytest.skip("needs the right to mount a file system")

    def set(self, option):
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk.folder)], check=True)


@pytest.fixture
def raw(tmp_path):
    chexpert(tmp_path / "raw")
    return tmp_path / "raw"


def test_a_full_disk_is_named_and_loses_nothing(disk, raw):
    out = disk.folder / "results" / "prepare" / "chexpert" / "manifest.parquet"
    prepare("chexpert", out=out, source=raw, size=16)
    before = {p.name: p.read_bytes() for p in out.parent.iterdir()}
    with pytest.raises(UserError, match="no space left on the disk; free some and run again"):
        prepare("chexpert", out=out, source=raw, size=256)
    assert {p.name: p.read_bytes() for p in out.parent.iterdir()} == before
    disk.set("size=8m")
    prepare("chexpert", out=out, source=raw, size=256)
    assert list(check(disk.folder, list(record_paths(disk.folder)))) == []


def test_read_only_results_are_named_and_stay(disk, raw):
    out = disk.folder / "results" / "prepare" / "chexpert" / "manifest.parquet"
    prepare("chexpert", out=out, source=raw, size=16)
    before = {p.name: p.read_bytes() for p in out.parent.iterdir()}
    disk.set("ro")
    with pytest.raises(UserError, match="cannot be written; give write permission"):
        prepare("chexpert", out=out, source=raw, size=16)
    with pytest.raises(UserError, match="other: cannot be made"):
        prepare("chexpert", out=disk.folder / "other" / "manifest.parquet", source=raw, size=16)
    assert {p.name: p.read_bytes() for p in out.parent.iterdir()} == before
    # What only looks still works.
    assert list(check(disk.folder, list(record_paths(disk.folder)))) == []
    disk.set("rw")
    prepare("chexpert", out=out, source=raw, size=16)


@pytest.fixture(scope="module")
def stubs(project: Project) -> Project:
    """Return a copy of the project with stub stages, each of which takes a while on request."""
    stub = (ROOT / "tests" / "stub_stages.py").read_text()
    slow = "\nimport os, time\ntime.sleep(float(os.environ.get('STUB_SECONDS', '0')))\n"
    head, _, body = stub.partition("import sys\n")
    (project.folder / "sista" / "__main__.py").write_text(f"{head}import sys\n{slow}{body}")
    (project.folder / "stub.yaml").write_text(GRID)
    return project


def start(project: Project) -> subprocess.Popen:
    """Start Snakemake in a process group of its own; return when its first job runs."""
    process = subprocess.Popen(
        [str(BIN / "snakemake"), "--cores", "2", "--config", "grid=stub.yaml"],
        cwd=project.folder,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "STUB_SECONDS": "60"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(600):
        if list((project.folder / "results").glob("fetch/*/log.txt")):
            return process
        time.sleep(0.1)
    raise AssertionError("no job has started")


def test_a_second_scheduler_is_refused_and_a_killed_ones_lock_is_taken_off(stubs):
    shutil.rmtree(stubs.folder / "results", ignore_errors=True)
    first = start(stubs)
    try:
        refused = stubs.run("snakemake", "--cores", "1", "--config", "grid=stub.yaml", check=False)
        assert "Directory cannot be locked" in refused
        assert first.poll() is None
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    still = stubs.run("snakemake", "--cores", "1", "--config", "grid=stub.yaml", check=False)
    assert "Directory cannot be locked" in still
    stubs.run("snakemake", "--unlock", "--config", "grid=stub.yaml")
    stubs.snakemake("stub.yaml", "--rerun-incomplete")
    assert "Nothing to be done" in stubs.snakemake("stub.yaml")


def test_a_wrong_clock_costs_repeated_jobs_and_no_result(stubs):
    stubs.snakemake("stub.yaml", "--rerun-incomplete")
    results = stubs.folder / "results"
    before = {p: p.read_bytes() for p in results.rglob("*") if p.suffix in (".parquet", ".npy")}
    encoder = next(results.rglob("encoder.safetensors"))
    ahead = time.time() + 3600
    os.utime(encoder, (ahead, ahead))
    # The documented remedy: the named file first, since nothing can be newer than the future.
    encoder.touch()
    stubs.snakemake("stub.yaml", "--touch")
    assert "Nothing to be done" in stubs.snakemake("stub.yaml")
    # The node wrote its results an hour ago by its own clock: they look older than what they are
    # made from, so they are made once more, and what is made from them is found to be the same.
    behind = time.time() - 3600
    for path in results.glob("prepare/*/*"):
        os.utime(path, (behind, behind))
    stubs.snakemake("stub.yaml")
    assert {p: p.read_bytes() for p in before} == before
    assert "Nothing to be done" in stubs.snakemake("stub.yaml")
