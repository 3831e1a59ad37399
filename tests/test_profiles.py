"""The profiles without a cluster: shared keys, a job's batch script, and tasks of an array."""

import ast
import base64
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
import yaml
from snakemake.scheduling.job_scheduler import JobRateLimiter
from snakemake.settings.types import MaxJobsPerTimespan

from benchmarks.speed import planning
from sista.grid import plan
from sista.grid.grid import Grid
from tests.conftest import ROOT

PROFILES = ROOT / "workflow" / "profiles"
KEYS = {
    name: yaml.safe_load((PROFILES / name / "config.yaml").read_text())
    for name in ("local", "slurm", "generic")
}
ONLY = {"cores", "executor", "jobs", "latency-wait", "max-jobs-per-timespan", "precommand"}
ONLY |= {"resources", "set-resource-scopes"}
# Plays a job: says that it has started, notes SIGTERM, and ends with a code of its own.
JOB = """
import signal, sys, time
from pathlib import Path

signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
Path("started").touch()
time.sleep(60)
"""
# Prints what sbatch is given for a pre-training beside memory, time and the like.
ASKED = """
import sys
from types import SimpleNamespace
from snakemake.api import SnakemakeApi
from snakemake.cli import parse_args
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

args = parse_args(["--cores", "1", *sys.argv[1:]])[1]
changed = {"overwrite_resources": args.set_resources} if args.set_resources else {}
resources = ResourceSettings(cores=1, default_resources=args.default_resources, **changed)
with SnakemakeApi(OutputSettings(dryrun=True)) as api:
    workflow = api.workflow(
        resource_settings=resources,
        config_settings=ConfigSettings(config={"grid": "benchmarks/phantom.yaml"}),
    )._workflow
    given = SimpleNamespace(manifest="none", size_mb=0)
    found = workflow.get_rule("pretrain").expand_resources({}, given, 1)
names = ("slurm_extra", "qos", "gres", "constraint")
print({name: found.get(name) for name in names if found.get(name)})
"""
NEEDED = "--signal=B:USR1@120 --open-mode=append"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ((), {}),
        (("--default-resources", "slurm_extra='--mail-type=FAIL'"), "--mail-type=FAIL"),
        (("--default-resources", "slurm_extra='--nice=3 --exclusive'"), "--nice=3 --exclusive"),
        (("--set-resources", "pretrain:slurm_extra='--reservation=r'"), "--reservation=r"),
        (
            ("--default-resources", "qos=long", "gres=lscratch:100G", "constraint=a100"),
            {"qos": "long", "gres": "lscratch:100G", "constraint": "a100"},
        ),
    ],
)
def test_what_a_site_asks_of_sbatch_stands_beside_what_a_rule_needs(given, asked):
    command = (sys.executable, "-c", ASKED, *given)
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    expected = {"slurm_extra": f"{NEEDED} {asked}"} if isinstance(asked, str) else asked
    assert ast.literal_eval(ran.stdout) == {"slurm_extra": NEEDED} | expected


def test_the_header_of_the_profile_names_what_sites_ask_for():
    header = (PROFILES / "slurm/config.yaml").read_text().split("executor:")[0]
    assert all(f"{name}=" in header for name in ("qos", "gres", "constraint", "slurm_extra"))


@pytest.mark.parametrize("name", ["slurm", "generic"])
def test_profiles_share_their_keys(name):
    shared = {
        key for key in KEYS["local"].keys() | KEYS[name].keys() if not key.startswith("slurm-")
    } - ONLY
    assert {key: KEYS["local"][key] for key in shared} == {key: KEYS[name][key] for key in shared}


def test_all_jobs_of_any_grid_can_be_submitted(tmp_path):
    # What Snakemake has to keep back of an array's rule, the plugin forgets.
    (tmp_path / "large.yaml").write_text(planning.sized_grid(5000))
    grids = [*(ROOT / "benchmarks").glob("*.yaml"), tmp_path / "large.yaml"]
    jobs = {g.stem: sum(map(len, plan.targets(Grid.load(g), g.stem).values())) for g in grids}
    assert jobs["large"] >= 5000
    limit = JobRateLimiter(MaxJobsPerTimespan.parse_choice(KEYS["slurm"]["max-jobs-per-timespan"]))
    assert max(jobs.values()) <= min(KEYS["slurm"]["jobs"], limit.get_free_jobs())


def batch(folder: Path, commands: str, **environment: str) -> subprocess.Popen[str]:
    """Start a batch script as the plugin writes it, with a `scontrol` that notes its arguments."""
    (folder / "workflow").symlink_to(ROOT / "workflow")
    (folder / "job.py").write_text(JOB)
    scontrol = folder / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {folder}/scontrol.txt\n')
    scontrol.chmod(0o755)
    (folder / "script").write_text(f"#!/bin/sh\n{KEYS['slurm']['precommand']} && {commands}\n")
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen(
        ["sh", "./script"],
        cwd=folder,
        env={**os.environ, "PATH": path, "SLURM_JOB_ID": "7", **environment},
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(file: Path) -> None:
    end = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < end, f"{file} was not made"
        time.sleep(0.05)


@pytest.mark.parametrize("code", [0, 3])
def test_a_job_ends_with_its_own_exit_code(tmp_path, code):
    with batch(tmp_path, f"sh -c 'exit {code}'") as job:
        assert job.wait(60) == code


def test_a_job_near_its_time_limit_goes_back_to_the_queue_and_saves_its_state(tmp_path):
    array = {"SLURM_ARRAY_JOB_ID": "6", "SLURM_ARRAY_TASK_ID": "1"}
    with batch(tmp_path, "python job.py", **array) as job:
        wait_for(tmp_path / "started")
        # SLURM sends the first to the batch script alone, the second to all processes of the job.
        os.kill(job.pid, signal.SIGUSR1)
        wait_for(tmp_path / "scontrol.txt")
        assert job.poll() is None
        os.killpg(job.pid, signal.SIGTERM)
        assert job.wait(60) == 75
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 6_1\n"


def test_a_job_that_came_back_a_hundred_times_is_left_to_its_time_limit(tmp_path):
    with batch(tmp_path, "python job.py", SLURM_RESTART_COUNT="100") as job:
        wait_for(tmp_path / "started")
        os.kill(job.pid, signal.SIGUSR1)
        time.sleep(0.5)
        os.killpg(job.pid, signal.SIGTERM)
        assert job.wait(60) == 75
    assert not (tmp_path / "scontrol.txt").exists()


@pytest.mark.parametrize("between", ["=", "\n"], ids=["short", "long"])
def test_each_task_of_an_array_runs_its_own_command(tmp_path, between):
    # As the plugin packs the commands of all tasks but the first; the long form is that of a script
    # too long for a command line.
    packed = {"2": zlib.compress(b"echo second > made; exit 4").hex()}
    payload = base64.b64encode(json.dumps(packed).encode()).decode()
    lead = " " if between == "=" else "\n"
    script = f"sh -c 'echo first > made'{lead}--slurm-jobstep-array-execs{between}{payload}"
    for task, made, code in (("1", "first\n", 0), ("2", "second\n", 4)):
        folder = tmp_path / task
        folder.mkdir()
        array = {"SLURM_ARRAY_JOB_ID": "6", "SLURM_ARRAY_TASK_ID": task}
        with batch(folder, script, **array) as job:
            assert job.wait(60) == code
        assert (folder / "made").read_text() == made
