"""Where a grid stands: every state, the time left, and the line of a log file."""

import json
import os
from pathlib import Path

import psutil
import pytest

from sista.grid.grid import Grid
from sista.monitor import status
from sista.monitor.survey import Job, last_line, seconds_left, survey
from sista.runs.heartbeat import Running, machine, state_path

GRID = """
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants: [random_init, clip]
seeds: [0, 1]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}
"""


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite.yaml").write_text(GRID)
    return Grid.load("suite.yaml")


def finish(path, seconds):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()
    record = {"wall_s": seconds - 1.0, "startup_s": 1.0}
    Path(path).with_name("run.json").write_text(json.dumps(record))


def fail(path, said):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).with_name("log.txt").write_text(said)


def test_every_state_is_told_with_the_log_of_what_failed(grid, capsys):
    first, second, third, _ = [run.checkpoint for run in grid.pretrain_runs()]
    finish(first, 10.0)
    fail(second, "epoch 1\nerror: no space left\n")
    Path(third).parent.mkdir(parents=True)
    fail(third, "epoch 2: 3/9\n")
    with Running("pretrain", Path(third)):
        states = [job.state for job in survey(grid, "suite") if job.stage == "pretrain"]
        status.status(Path("suite.yaml"))
    assert states == ["done", "failed", "running", "to do"]
    told = capsys.readouterr().out
    assert "running: pretrain/tiny/clip" in told
    assert "epoch 2: 3/9" in told
    assert "error: no space left" in told
    assert f"log: {Path(second).with_name('log.txt')}" in told
    assert "next to do: results/fetch/mimic_cxr@phantom_tiny/inventory.parquet" in told


def test_a_job_whose_process_was_killed_has_failed(grid):
    path = Path(next(iter(grid.pretrain_runs())).checkpoint)
    fail(path, "epoch 1\n")
    child = psutil.Popen(["true"])
    child.wait()
    state = {"stage": "pretrain", "pid": child.pid, "machine": machine()}
    state_path(path).write_text(json.dumps({**state, "process_started": 0.0, "started": 0.0}))
    assert next(j.state for j in survey(grid, "suite") if j.stage == "pretrain") == "failed"


def job(stage, state, seconds=None, kind="a"):
    return Job(stage, Path("x"), (stage, kind), state, seconds)


def test_time_left_takes_the_mean_of_the_kind_then_of_the_stage():
    done = [job("adapt", "done", 10.0), job("adapt", "done", 20.0, "b")]
    assert seconds_left([*done, job("adapt", "to do")])["adapt"] == 10.0
    assert seconds_left([*done, job("adapt", "to do", kind="c")])["adapt"] == 15.0
    assert seconds_left([*done, job("adapt", "failed", kind="b")])["adapt"] == 20.0
    running = [job("adapt", "running", 4.0), job("adapt", "running", 99.0)]
    assert seconds_left([*done, *running, job("adapt", "to do")])["adapt"] == (6.0 + 0 + 10) / 2
    assert seconds_left([*done, job("score", "to do")]) == {"adapt": 0.0, "score": None}


def test_a_log_file_gets_a_line_where_something_has_changed(grid, capsys, monkeypatch):
    targets = [job.path for job in survey(grid, "suite")]
    waited = []

    def next_ones(seconds):
        waited.append(seconds)
        if len(waited) > 1:
            for path in targets[len(waited) - 2 :: 4]:
                finish(path, 2.0)
        # Never more than four rounds.
        assert len(waited) < 7

    monkeypatch.setattr(status.time, "sleep", next_ones)
    status.watch(Path("suite.yaml"), every=0.1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "0 done · 0 running · 0 failed · 14 to do · left: unknown" in lines[0]
    assert "14 done · 0 running · 0 failed · 0 to do · left: 0 min 00 s" in lines[-1]


def test_the_last_line_of_a_log_may_be_a_progress_bar(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("start\n" + "x" * 9000 + "\n10 %\r 20 %\r 30 %\n\n")
    assert last_line(log) == "30 %"
    assert last_line(tmp_path / "absent") == ""
    assert os.path.getsize(log) > 4096
