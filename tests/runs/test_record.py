"""Run records: complete, validated, without double hashing, cleaned of what a killed run left."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sista.errors import UserError
from sista.files import sha256
from sista.runs import heartbeat as running
from sista.runs import record
from sista.runs.record import FileFact, Made, Record, fact, known, read_record, recorded

ROOT = Path(__file__).resolve().parents[2]


@recorded("prepare")
def made_up(*, out: Path, source: Path, text: str = "result") -> Made:
    out.write_text(text)
    return Made([out], [source], {"text": text}, {"draw": 7}, {"n": 1})


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "fetch" / "inventory.parquet"
    path.parent.mkdir()
    path.write_text("raw")
    return path


def test_a_record_says_what_was_read_made_asked_and_spent(tmp_path, source):
    out = tmp_path / "prepare" / "manifest.parquet"
    made_up(out=out, source=source)
    made = read_record(out.with_name("run.json"))
    assert (made.stage, made.run, made.seeds, made.facts) == (
        "prepare",
        {"text": "result"},
        {"draw": 7},
        {"n": 1},
    )
    assert made.outputs == {"manifest.parquet": fact(out)}
    assert made.inputs == {"../fetch/inventory.parquet": fact(source)}
    assert made.wall_s >= 0
    assert made.startup_s > 0
    assert made.peak_mb > 10
    assert made.host.cpu
    assert (made.energy_j is None) == ("RAPL," not in made.energy_note)
    assert sorted(p.name for p in out.parent.iterdir()) == ["manifest.parquet", "run.json"]


def test_the_schema_of_records_has_not_drifted():
    file = ROOT / "workflow" / "schemas" / "run.schema.json"
    made = json.dumps(Record.model_json_schema(), indent=1, sort_keys=True) + "\n"
    assert file.read_text() == made, f"run: sista schema --of run --out {file}"


def test_a_broken_record_is_named_with_its_field(tmp_path, source):
    out = tmp_path / "prepare" / "manifest.parquet"
    made_up(out=out, source=source)
    path = out.with_name("run.json")
    value = json.loads(path.read_text())
    del value["code_version"]
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"run\.json: not a run record: code_version"):
        read_record(path)


def test_a_recorded_hash_spares_reading_a_large_file_while_it_is_untouched(
    tmp_path, source, monkeypatch
):
    out = tmp_path / "prepare" / "manifest.parquet"
    made_up(out=out, source=source)
    hashed = []

    def counted(path):
        hashed.append(path)
        return sha256(path)

    monkeypatch.setattr(record, "sha256", counted)
    assert known(out).sha256 == sha256(out)
    assert hashed == [out]
    monkeypatch.setattr(record, "HASHED_BYTES", 3)
    assert known(out).sha256 == sha256(out)
    assert hashed == [out]
    os.utime(out, (0, 0))
    assert known(out).sha256 == sha256(out)
    assert hashed == [out, out]
    assert isinstance(known(source), FileFact)


@pytest.mark.parametrize("old_time", [True, False])
def test_nothing_is_made_from_a_damaged_file(tmp_path, source, old_time):
    out = tmp_path / "prepare" / "manifest.parquet"
    made_up(out=out, source=source)
    state = out.stat()
    out.write_text("resulT")
    if old_time:
        os.utime(out, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(UserError, match=r"manifest.parquet: damaged since it was made; delete it"):
        made_up(out=tmp_path / "other" / "manifest.parquet", source=out)
    assert not (tmp_path / "other" / "run.json").exists()


@pytest.mark.parametrize(
    ("stage", "result", "own"),
    [
        ("score", "suite.parquet", ".suite.metrics.0a1b2c3d.tmp.json"),
        ("report", "suite", "suite/figures/.bars.0a1b2c3d.tmp.png"),
        *((s, "suite.parquet", "..suite.state.0a1b2c3d.tmp.json") for s in ("score", "report")),
    ],
)
def test_scores_and_reports_clean_up_after_themselves_alone(tmp_path, stage, result, own):
    @recorded(stage)
    def made(*, out: Path) -> Made:
        return Made([], [], {})

    other = tmp_path / (".others.0a1b2c3d.tmp.parquet" if stage == "score" else "others")
    for path in (tmp_path / own, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    made(out=tmp_path / result)
    assert other.exists()
    assert not (tmp_path / own).exists()


def test_what_a_killed_run_left_goes_and_other_files_stay(tmp_path, source):
    out = tmp_path / "prepare" / "manifest.parquet"
    out.parent.mkdir()
    (out.parent / ".manifest.0a1b2c3d.tmp.parquet").write_text("half")
    (out.parent / ".raw.0a1b2c3d.tmp").mkdir()
    (out.parent / ".raw.0a1b2c3d.tmp" / "film").write_text("half")
    (out.parent / ".hashes.parquet").write_text("kept")
    running.state_path(out).write_text('{"stage": "prepare", "pid": ')
    made_up(out=out, source=source)
    names = sorted(p.name for p in out.parent.iterdir())
    assert names == [".hashes.parquet", "manifest.parquet", "run.json"]


def test_a_failed_run_leaves_no_record_and_no_state(tmp_path):
    @recorded("prepare")
    def failing(*, out: Path) -> Made:
        assert running.state_of(out) is not None
        raise UserError("no film")

    with pytest.raises(UserError, match="no film"):
        failing(out=tmp_path / "new" / "manifest.parquet")
    assert list(tmp_path.iterdir()) == []


def test_only_the_first_of_several_processes_writes(tmp_path, source, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    out = tmp_path / "manifest.parquet"
    made_up(out=out, source=source)
    assert not out.with_name("run.json").exists()


WAITS = """
import sys, time
from pathlib import Path
from sista.runs.record import Made, recorded

@recorded("prepare")
def stage(*, out: Path, told: Path, go: Path) -> Made:
    with told.open("a") as stream:
        stream.write("start ")
        stream.flush()
        while not go.exists():
            time.sleep(0.02)
        stream.write("end ")
    out.write_text("result")
    return Made([out], [], {})

stage(out=Path(sys.argv[1]), told=Path(sys.argv[2]), go=Path(sys.argv[3]))
"""


@pytest.fixture
def stage(tmp_path):
    """Return what starts a process that makes a result once the file `go` is there."""
    files = [tmp_path / name for name in ("manifest.parquet", "told", "go")]
    command = [sys.executable, "-c", WAITS, *map(str, files)]
    return lambda: subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(process):
    process.stderr.close()
    return process.wait()


def wait_for(path, process):
    while not (path.exists() and path.read_text()):
        assert process.poll() is None


def test_a_second_process_waits_for_the_first(tmp_path, stage):
    first = stage()
    wait_for(tmp_path / "told", first)
    second = stage()
    assert f"process {first.pid} makes it at the moment" in second.stderr.readline()
    (tmp_path / "go").touch()
    assert (finish(first), finish(second)) == (0, 0)
    assert (tmp_path / "told").read_text() == "start end start end "


def test_a_killed_process_is_not_waited_for(tmp_path, stage):
    out = tmp_path / "manifest.parquet"
    first = stage()
    wait_for(tmp_path / "told", first)
    first.kill()
    finish(first)
    assert running.state_path(out).is_file()
    assert running.state_of(out) is None
    (tmp_path / "go").touch()
    assert finish(stage()) == 0
    assert (tmp_path / "told").read_text() == "start start end "


def test_another_machine_is_alive_while_its_heart_beats_whatever_its_clock(tmp_path):
    out = tmp_path / "manifest.parquet"
    state = {"stage": "adapt", "pid": 1, "machine": "elsewhere", "process_started": 0.0}
    path = running.state_path(out)
    # Its own clock is years behind; the file's time is the file system's.
    path.write_text(json.dumps({**state, "started": 1e9}))
    assert running.state_of(out) is not None
    old = path.stat().st_mtime - 10 * running.SILENCE_SECONDS
    os.utime(path, (old, old))
    assert running.state_of(out) is None
    # The clock that wrote it was a day ahead, and has been set since.
    ahead = path.stat().st_mtime + 86400
    os.utime(path, (ahead, ahead))
    assert running.state_of(out) is None


ELSEWHERE = {"stage": "prepare", "pid": 1, "machine": "elsewhere", "process_started": 0.0}


@pytest.mark.parametrize("end", ["silence", "its end"])
def test_the_job_of_another_machine_is_waited_for_while_its_heart_beats(
    tmp_path, source, monkeypatch, capsys, end
):
    monkeypatch.setattr(running, "SILENCE_SECONDS", 2.0)
    monkeypatch.setattr(running, "FAR_WAIT_SECONDS", 0.05)
    out = tmp_path / "prepare" / "manifest.parquet"
    path = running.state_path(out)
    path.parent.mkdir()
    path.write_text(json.dumps({**ELSEWHERE, "started": 0.0, "job": "12_3"}))
    alive = path.with_name(".manifest.0a1b2c3d.tmp.parquet")
    alive.write_text("half")
    seen = []

    def beat():
        for _ in range(50):
            time.sleep(0.05)
            os.utime(path)
            seen.append((alive.is_file(), out.is_file()))
        if end == "its end":
            path.unlink()

    heart = threading.Thread(target=beat)
    heart.start()
    made_up(out=out, source=source)
    heart.join()
    # Nothing is touched as long as the other one may write, which is longer than the silence.
    assert set(seen) == {(True, False)}
    assert out.is_file()
    assert not alive.exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert "SLURM job 12_3 on another machine makes it at the moment" in line
    assert line.endswith("to end it: scancel 12_3")


def test_a_state_names_the_job_that_scancel_ends(tmp_path, monkeypatch):
    out = tmp_path / "manifest.parquet"
    monkeypatch.setenv("SLURM_JOB_ID", "14")
    with running.Running("prepare", out):
        assert json.loads(running.state_path(out).read_text())["job"] == "14"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    with running.Running("prepare", out):
        assert json.loads(running.state_path(out).read_text())["job"] == "12_3"


def test_a_state_that_goes_while_it_is_read_is_nobodys(tmp_path, monkeypatch):
    out = tmp_path / "manifest.parquet"
    path = running.state_path(out)
    path.write_text(json.dumps({**ELSEWHERE, "started": 0.0}))

    def read_and_lose(file):
        found = json.loads(file.read_text())
        file.unlink()
        return found

    monkeypatch.setattr(running, "read_json", read_and_lose)
    assert running.state_of(out) is None
