"""Bad inputs against every verb: a share of them in the fast tests, all as a slow one."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder for the world: it is made once, by the first command that needs it."""
    return tmp_path_factory.mktemp("hostile")


def run(world, *arguments):
    """Run a command of the trial in a process of its own: it forks, limits memory, may die."""
    out = world / "told.json"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", *arguments]
    done = subprocess.run(
        [*command, "--world", str(world), "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.is_file(), done.stderr[-3000:]
    return json.loads(out.read_text())


def not_held(told):
    return [f"{v['case']}: {'; '.join(v['wrong'])}" for v in told["verdicts"] if v["wrong"]]


def test_a_share_of_the_bad_inputs_is_held(world):
    told = run(world, "tests.hostile.trial", "--part", "fast")
    assert told["inputs"] >= 800
    assert not_held(told) == []


def test_some_mutated_files_are_read_or_refused(world):
    told = run(world, "tests.hostile.fuzz", "--inputs", "2000", "--seed", "1")
    assert told["failures"] == []


@pytest.mark.slow
def test_all_bad_inputs_are_held(world):
    told = run(world, "tests.hostile.trial")
    assert told["inputs"] >= 3000
    assert not_held(told) == []


@pytest.mark.slow
def test_mutated_files_are_read_or_refused(world):
    told = run(world, "tests.hostile.fuzz", "--inputs", "200000", "--seed", "0")
    assert told["failures"] == []
    assert min(sum(each.values()) for each in told["readers"].values()) > 100


@pytest.mark.slow
def test_a_killed_verb_ends_the_second_time_and_a_full_disk_is_named(world):
    lines = run(world, "tests.hostile.kills", "--kills", "25")
    assert [line for line in lines if not line["good"]] == []
    assert {line["verb"] for line in lines} >= {"score", "report", "import", "crate"}
    assert all(line["killed"] for line in lines if "write" in line)
    assert any(line["full"] for line in lines if "size" in line)
