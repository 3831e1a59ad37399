"""The SLURM profile on a real cluster of two virtual nodes that the test starts itself."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sista.files import sha256
from tests.conftest import ROOT, Project
from tests.slurm_cluster import Cluster, running, unavailable, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]
PROFILE = ("snakemake", "--workflow-profile", "workflow/profiles/slurm", "--config")
# Before the stub's own lines: notes what SLURM knows about the job.
NOTES = """
import json, os, subprocess, sys, time
from pathlib import Path

job = os.environ["SLURM_JOB_ID"]
shown = subprocess.check_output(["scontrol", "show", "--oneliner", "job", job], text=True)
facts = dict(word.split("=", 1) for word in shown.split() if "=" in word)
with Path("notes.jsonl").open("a") as file:
    file.write(json.dumps({"verb": sys.argv[1], "world": os.environ.get("WORLD_SIZE"), **facts}))
    file.write("\\n")
clip = sys.argv[1] == "pretrain" and "clip" in sys.argv
"""
FAILS_ONCE = """
if clip and not Path("failed").exists():
    Path("failed").touch()
    raise SystemExit("no room left")
"""
FAILS = """
if clip:
    raise SystemExit("no room left")
"""
SLEEPS = """
if clip and not Path("woken").exists():
    time.sleep(600)
"""
GRID = """
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants: [clip, sista]
draws: [0]
fractions: [100]
adapt:
  - {protocol: quick_v1, dataset: mimic_cxr@phantom_tiny, task: classification}
"""
# Pre-training of a minute or more, so that it can be interrupted.
LONG = """
budget: quick
corpus: mimic_cxr@phantom
encoders: [resnet_tiny]
variants: [clip]
draws: [0]
fractions: [100]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}
"""
ENCODER = "results/pretrain/quick/clip/resnet_tiny/mimic_cxr@phantom/seed0/encoder.safetensors"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


def stubbed(folder: Path, misfortune: str = "") -> Project:
    """Return a project of stub stages that note their job; CLIP's pre-training has a misfortune."""
    project = Project(folder)
    stub = (ROOT / "tests" / "stub_stages.py").read_text()
    (project.folder / "sista" / "__main__.py").write_text(NOTES + misfortune + stub)
    (project.folder / "stub.yaml").write_text(GRID)
    return project


def notes(project: Project, verb: str) -> list[dict[str, Any]]:
    """Return what SLURM knew about each job of a stage, in the order of their starts."""
    file = project.folder / "notes.jsonl"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [note for note in map(json.loads, lines) if note["verb"] == verb]


def test_the_smoke_grid_on_the_cluster_gives_the_same_bits(cluster, smoke, tmp_path):
    project = Project(tmp_path)
    command = (*PROFILE, "grid=benchmarks/smoke.yaml")
    assert "Submitted array job" in project.run(*command, **cluster.environment)
    tables = [str(copy.folder / "results" / "score" / "smoke.parquet") for copy in (smoke, project)]
    assert "equal values" in project.run("python", "-m", "sista", "compare", *tables)
    assert cluster.jobs() == []
    assert "Nothing to be done" in project.run(*command, **cluster.environment)


def test_a_failed_job_is_tried_again_with_more_memory_and_time(cluster, tmp_path):
    project = stubbed(tmp_path, FAILS_ONCE)
    mine = ("--default-resources", "slurm_partition=urgent", "slurm_account=lab")
    printed = project.run(*PROFILE, "grid=stub.yaml", *mine, **cluster.environment)
    assert "Trying to restart job" in printed
    jobs = notes(project, "pretrain")
    assert {job["Partition"] for job in jobs} == {"urgent"}
    assert {job["Account"] for job in jobs} == {"lab"}
    asked = [(job["MinMemoryNode"], job["TimeLimit"]) for job in jobs]
    # The array of both, with a megabyte for itself; then CLIP alone.
    assert asked == [("8001M", "1-00:00:00")] * 2 + [("16000M", "2-00:00:00")]


def test_a_job_that_keeps_failing_is_reported_with_its_log(cluster, tmp_path):
    project = stubbed(tmp_path, FAILS)
    printed = project.run(*PROFILE, "grid=stub.yaml", check=False, **cluster.environment)
    folder = "results/pretrain/tiny/clip/resnet_tiny/mimic_cxr@phantom_tiny/seed0"
    assert f"log: {folder}/log.txt (check log file(s) for error details)" in printed
    assert "no room left" in printed
    assert "no room left" in (tmp_path / folder / "log.txt").read_text()
    # What does not depend on it was done, and stayed.
    assert len(list((tmp_path / "results" / "adapt").rglob("predictions.parquet"))) == 1


def test_an_interrupt_cancels_the_jobs_and_a_second_start_ends_the_work(cluster, tmp_path):
    project = stubbed(tmp_path, SLEEPS)
    command = (*PROFILE, "grid=stub.yaml")
    with project.start(*command, **cluster.environment) as started:
        wait_until(lambda: len(notes(project, "pretrain")) == 2, "both jobs of the array run")
        assert cluster.jobs()
        started.send_signal(signal.SIGINT)
        try:
            printed, _ = started.communicate(timeout=60)
        finally:
            started.kill()
    assert started.returncode == 1, printed
    wait_until(lambda: not cluster.jobs(), "the queue is empty")
    (tmp_path / "woken").touch()
    project.run(*command, **cluster.environment)
    assert (tmp_path / "results" / "score" / "stub.parquet").is_file()


def test_two_gpus_start_two_processes_with_torchrun(cluster, tmp_path):
    project = stubbed(tmp_path)
    mine = ("--set-resources", "pretrain:gpu=2", "adapt:gpu=1")
    project.run(*PROFILE, "grid=stub.yaml", *mine, **cluster.environment)
    assert {note["TresPerJob"] for note in notes(project, "pretrain")} == {"gres:gpu:2"}
    assert [note["world"] for note in notes(project, "pretrain")] == ["2"] * 4
    assert {note["TresPerJob"] for note in notes(project, "adapt")} == {"gres:gpu:1"}
    assert {note["world"] for note in notes(project, "adapt")} == {None}


def test_preempted_and_out_of_time_the_job_resumes_to_the_same_bits(cluster, tmp_path):
    alone, project = Project(tmp_path / "alone"), Project(tmp_path / "cluster")
    for copy in (alone, project):
        (copy.folder / "long.yaml").write_text(LONG)
    target = ("--", "pretrain_all")
    alone.snakemake("long.yaml", *target)
    # A minute is the shortest limit that SLURM keeps.
    short = ("pretrain:runtime=1", "pretrain:slurm_extra='--signal=B:USR1@20 --open-mode=append'")
    command = (*PROFILE, "grid=long.yaml", "--set-resources", *short, *target)
    log = project.folder / Path(ENCODER).with_name("log.txt")
    with project.start(*command, **cluster.environment) as started:
        wait_until(lambda: log.is_file() and "epochs" in log.read_text(), "it trains")
        (job,) = cluster.jobs("RUNNING")
        urgent = ("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null")
        cluster.run(*urgent, "--wrap=sleep 1")
        wait_until(lambda: cluster.facts(job)["Restarts"] == "1", "it is pre-empted")
        printed, _ = started.communicate()
    assert started.returncode == 0, printed
    assert int(cluster.facts(job)["Restarts"]) > 1, "the time limit did not come"
    assert sha256(project.folder / ENCODER) == sha256(alone.folder / ENCODER)
