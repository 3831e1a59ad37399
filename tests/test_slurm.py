"""The SLURM profile on a real cluster of two virtual nodes that the test starts itself."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sista.files import sha256
from sista.grid import plan
from sista.grid.grid import Grid
from tests.conftest import ROOT, Project
from tests.slurm_cluster import Cluster, running, unavailable, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]
# A stub's job lasts six seconds or so: a look at the queue too early costs ten more.
LOOKS = ("--slurm-init-seconds-before-status-checks", "9")
PROFILE = ("snakemake", "--workflow-profile", "workflow/profiles/slurm", *LOOKS, "--config")
# Before the stub's own lines: notes what SLURM knows about the job.
NOTES = """
import json, os, subprocess, sys, time
from pathlib import Path

job = os.environ.get("SLURM_JOB_ID")
if job:
    shown = subprocess.check_output(["scontrol", "show", "--oneliner", "job", job], text=True)
    facts = dict(word.split("=", 1) for word in shown.split() if "=" in word)
    facts |= {"verb": sys.argv[1], "world": os.environ.get("WORLD_SIZE")}
    with Path("notes.jsonl").open("a") as file:
        file.write(json.dumps(facts) + "\\n")
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
if sys.argv[1] == "pretrain" and not Path("woken").exists():
    time.sleep(600)
"""
# Of the heads in one job, one runs at a time; a head of SISTA fails when it runs first.
IN_TURN = """
import fcntl

if sys.argv[1] == "adapt" and job:
    turn = Path(f"turn{job}").open("w")
    try:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        Path("together").touch()
    time.sleep(1)
    if "tiny/sista/" in " ".join(sys.argv) and not Path("failed").exists():
        Path("failed").touch()
        raise SystemExit("no room left")
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
MORE_HEADS = "  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}\n"
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


def processes_in(folder: Path, besides: int = 0) -> list[str]:
    """Return the commands of all processes that work in a folder, besides a scheduler."""
    found = [p.info for p in psutil.process_iter(["cwd", "cmdline"]) if p.pid != besides]
    # One that has ended, but was not asked for its exit code, has no command any more.
    return [" ".join(p["cmdline"]) for p in found if p["cwd"] == str(folder) and p["cmdline"]]


def test_the_smoke_grid_on_the_cluster_gives_the_same_bits(cluster, smoke, tmp_path):
    project = Project(tmp_path)
    command = (*PROFILE, "grid=benchmarks/smoke.yaml")
    assert "Submitted array job" in project.run(*command, **cluster.environment)
    tables = [str(copy.folder / "results" / "score" / "smoke.parquet") for copy in (smoke, project)]
    assert "equal values" in project.run("python", "-m", "sista", "compare", *tables)
    assert cluster.jobs() == []
    assert "Nothing to be done" in project.run(*command, **cluster.environment)


def test_arrays_run_in_folders_of_any_name(cluster, tmp_path):
    folder = tmp_path / 'Müller "data" $(touch CANARY) `touch CANARY` & x'
    project = stubbed(folder)
    grids = folder / 'grids of $HOME "best"'
    grids.mkdir()
    (folder / "stub.yaml").rename(grids / "stub.yaml")
    printed = project.run(*PROFILE, f"grid={grids.name}/stub.yaml", **cluster.environment)
    assert "Submitted array job" in printed
    assert len(notes(project, "pretrain")) == len(notes(project, "adapt")) == 2
    assert list(tmp_path.rglob("CANARY")) == []


def test_a_path_that_cannot_be_handed_on_is_told_before_any_job(cluster, tmp_path):
    project = stubbed(tmp_path / "Müller's")
    printed = project.run(*PROFILE, "grid=stub.yaml", check=False, **cluster.environment)
    assert "Müller's: Snakemake cannot hand ' and backslashes on" in printed
    assert "submitted with SLURM" not in printed
    assert not (project.folder / "results").exists()


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
    project.snakemake("stub.yaml", "--", "prepare_all")
    command = (*PROFILE, "grid=stub.yaml", "--", "pretrain_all")
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
    assert not processes_in(tmp_path)
    (tmp_path / "woken").touch()
    project.run(*command, **cluster.environment)
    assert "Nothing to be done" in project.snakemake("stub.yaml", *command[-2:])


def test_two_gpus_start_two_processes_with_torchrun(cluster, tmp_path):
    project = stubbed(tmp_path)
    mine = ("--set-resources", "pretrain:gpu=2", "adapt:gpu=1")
    project.run(*PROFILE, "grid=stub.yaml", *mine, **cluster.environment)
    assert {note["TresPerJob"] for note in notes(project, "pretrain")} == {"gres:gpu:2"}
    assert [note["world"] for note in notes(project, "pretrain")] == ["2"] * 4
    assert {note["TresPerJob"] for note in notes(project, "adapt")} == {"gres:gpu:1"}
    assert {note["world"] for note in notes(project, "adapt")} == {None}


def test_short_heads_share_a_submission_and_run_in_turn(cluster, tmp_path):
    project = stubbed(tmp_path, IN_TURN)
    (tmp_path / "stub.yaml").write_text(GRID + MORE_HEADS)
    project.snakemake("stub.yaml", "--", "prepare_all", "pretrain_all")
    group = ("--groups", "adapt=heads", "--group-components", "heads=2")
    mine = ("--set-resources", "adapt:runtime=30", "adapt:gpu=1")
    command = (*PROFILE, "grid=stub.yaml", *group, *mine, "--")
    targets = plan.targets(Grid.load(tmp_path / "stub.yaml"), "stub")["adapt"]
    project.run(*command, *targets, **cluster.environment)
    heads = notes(project, "adapt")
    asked = {n["JobId"]: (n["MinMemoryNode"], n["TresPerJob"], n["TimeLimit"]) for n in heads}
    # Two jobs of two heads each; then the one that failed, as a whole.
    first, second, again = asked.values()
    assert first == second == ("8000M", "gres:gpu:1", "01:00:00")
    assert again == ("16000M", "gres:gpu:1", "01:00:00")
    assert [note["JobId"] for note in heads].count(list(asked)[2]) == 2
    assert not (tmp_path / "together").exists()
    assert "Nothing to be done" in project.snakemake("stub.yaml", "--", *targets)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project in which the long pre-training was not disturbed."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    (project.folder / "long.yaml").write_text(LONG)
    project.snakemake("long.yaml", "--", "pretrain_all")
    return project


def prepared(folder: Path, undisturbed: Project) -> Project:
    """Return a project in which the long pre-training can start at once."""
    project = Project(folder)
    (folder / "long.yaml").write_text(LONG)
    for stage in ("fetch", "prepare"):
        shutil.copytree(undisturbed.folder / "results" / stage, folder / "results" / stage)
    return project


def test_the_job_of_a_dead_node_ends_on_another_with_the_same_bits(cluster, undisturbed, tmp_path):
    project = prepared(tmp_path, undisturbed)
    log = (project.folder / ENCODER).with_name("log.txt")
    command = (*PROFILE, "grid=long.yaml", "--", "pretrain_all")
    with project.start(*command, **cluster.environment) as started:
        wait_until(lambda: log.is_file() and "epochs" in log.read_text(), "it trains")
        (job,) = cluster.jobs("RUNNING")
        dead = cluster.facts(job)["NodeList"]
        cluster.kill_node(dead)
        wait_until(lambda: not processes_in(tmp_path, started.pid), "its processes are gone", 30)
        wait_until(lambda: cluster.facts(job)["Restarts"] == "1", "SLURM misses the node")
        assert sorted(state.rstrip("*") for state in cluster.nodes()) == ["down", "idle"]
        printed, _ = started.communicate()
    assert started.returncode == 0, printed
    assert cluster.facts(job)["NodeList"] != dead
    assert sha256(project.folder / ENCODER) == sha256(undisturbed.folder / ENCODER)
    assert "0 findings" in project.run("python", "-m", "sista", "verify")
    cluster.start_node(dead)
    wait_until(lambda: cluster.nodes() == ["idle"] * 2, "the node is back")


def test_preempted_and_out_of_time_the_job_resumes_to_the_same_bits(cluster, undisturbed, tmp_path):
    project = prepared(tmp_path, undisturbed)
    signals = "pretrain:slurm_extra='--signal=B:USR1@20 --open-mode=append'"
    command = (*PROFILE, "grid=long.yaml", "--set-resources", signals, "--", "pretrain_all")
    log = (project.folder / ENCODER).with_name("log.txt")
    with project.start(*command, **cluster.environment) as started:
        wait_until(lambda: log.is_file() and "epochs" in log.read_text(), "it trains")
        (job,) = cluster.jobs("RUNNING")
        urgent = ("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null")
        cluster.run(*urgent, "--wrap=sleep 1")
        wait_until(lambda: cluster.facts(job)["Restarts"] == "1", "it is pre-empted")
        # The shortest limit that SLURM keeps; on a slow machine too short to come any further.
        cluster.limit(job, minutes=1)
        wait_until(lambda: cluster.facts(job)["Restarts"] == "2", "the time limit comes")
        cluster.limit(job, minutes=60)
        printed, _ = started.communicate()
    assert started.returncode == 0, printed
    assert sha256(project.folder / ENCODER) == sha256(undisturbed.folder / ENCODER)
