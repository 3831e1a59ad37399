"""Learning curves as event files, read back by TensorBoard's own reader."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sista.engine.state import Progress, StateFile
from sista.errors import UserError
from sista.report.event_files import EVENTS, LOG, STATE, curves
from sista.stages.pretrain import _write_log

ENDED = 1_700_000_000.0
EPOCHS = [
    {"epoch": 1.0, "learning_rate": 1e-4, "loss": 2.5, "val_loss": 2.75, "seconds": 30.0},
    {"epoch": 2.0, "learning_rate": 5e-5, "loss": 1 / 3, "val_loss": float("nan"), "seconds": 31.5},
    {"epoch": 3.0, "learning_rate": 0.0, "loss": float("inf"), "val_loss": 2.0, "seconds": 29.0},
]


def run_folder(root: Path, variant: str) -> Path:
    folder = root / "results/pretrain/quick" / variant / "resnet_tiny/mimic_cxr@phantom/seed0"
    folder.mkdir(parents=True)
    return folder


def write_state(folder: Path, log: list[dict[str, float]]) -> None:
    """Write the state of a run in the middle of an epoch, as the engine does."""
    model = torch.nn.Linear(2, 2)
    parts = {"model": model, "optimiser": torch.optim.AdamW(model.parameters())}
    history = [{"loss": torch.tensor(3.0)}]
    progress = Progress(epoch=len(log), step=1, history=history, log=log)
    StateFile(folder / STATE, "identity", parts).save(progress)
    os.utime(folder / STATE, (ENDED, ENDED))


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A finished run, a control without training, and a run in its third epoch."""
    monkeypatch.chdir(tmp_path)
    for variant, log in (("clip", EPOCHS), ("random_init", [])):
        folder = run_folder(tmp_path, variant)
        _write_log(log, folder / "encoder.safetensors")
        os.utime(folder / LOG, (ENDED, ENDED))
    write_state(run_folder(tmp_path, "sista"), EPOCHS[:2])
    return Path("results")


def read(folder: Path) -> pd.DataFrame:
    """Return tag, step, value and time of all scalars of a run."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    rows = [
        (tag, e.step, e.value, e.wall_time)
        for tag in reader.Tags()["scalars"]
        for e in reader.Scalars(tag)
    ]
    return pd.DataFrame(rows, columns=["tag", "step", "value", "time"])


def content(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_every_value_of_the_csv_is_read_back(results):
    curves(out=Path("board"), results=results)
    place = "quick/{}/resnet_tiny/mimic_cxr@phantom/seed0"
    assert set(content(Path("board"))) == {f"{place.format(v)}/{EVENTS}" for v in ("clip", "sista")}
    log = pd.read_csv(results / "pretrain" / place.format("clip") / LOG)
    wanted = log.melt("epoch", var_name="tag").dropna()
    found = read(Path("board") / place.format("clip"))
    merged = wanted.merge(found, left_on=["tag", "epoch"], right_on=["tag", "step"], how="outer")
    # Nothing is missing, nothing stands twice; the format has 32 bits.
    assert len(merged) == len(wanted) == len(found) == 11
    assert np.array_equal(merged["value_x"].astype(np.float32), merged["value_y"])
    assert dict(zip(found["step"], found["time"], strict=True)) == {
        1: ENDED - 29.0 - 31.5,
        2: ENDED - 29.0,
        3: ENDED,
    }


def test_a_run_under_way_has_its_finished_epochs(results):
    curves(out=Path("board"), results=results)
    found = read(next(Path("board").rglob("sista/**/seed0")))
    assert set(found["step"]) == {1, 2}
    assert list(found.loc[found["tag"] == "loss", "value"]) == [2.5, np.float32(1 / 3)]
    assert found["time"].max() == ENDED


def test_again_it_is_the_same_and_later_what_is_new(results, capsys):
    out = Path("board")
    curves(out=out, results=results)
    assert "curves of 2 runs, 1 under way" in capsys.readouterr().out
    before = content(out)
    (out.parent / f".{out.name}.0123abcd.tmp").mkdir()
    curves(out=out, results=results)
    assert content(out) == before
    assert list(Path().glob(".board.*")) == []
    folder = next(results.rglob("sista/**/seed0"))
    _write_log(EPOCHS, folder / "encoder.safetensors")
    curves(out=out, results=results)
    assert set(read(next(out.rglob("sista/**/seed0")))["step"]) == {1, 2, 3}
    assert content(out).keys() == before.keys()
    (folder / STATE).unlink()
    curves(out=out, results=results)
    assert "0 under way" in capsys.readouterr().out


def test_other_files_are_left_alone(results, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="mine: holds something else"):
        curves(out=tmp_path / "mine", results=results)
    assert (tmp_path / "mine/thesis.txt").is_file()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no pre-training has a log yet"):
        curves(out=tmp_path / "board", results=empty)


@pytest.mark.parametrize("name", [LOG, STATE])
@pytest.mark.parametrize("damage", [b"\xff" * 40, b"epoch,seconds\n1,x\n", b"epoch\n1\n"])
def test_a_damaged_log_is_named_and_nothing_is_written(results, name, damage):
    folder = run_folder(Path(), "mgca")
    (folder / name).write_bytes(damage)
    with pytest.raises(UserError, match=f"mgca/.*{name}"):
        curves(out=Path("board"), results=results)
    assert not Path("board").exists()


def test_without_the_package_one_line_says_so(results):
    code = "import sys; sys.modules['tensorboard'] = None; from sista.__main__ import main; "
    command = [sys.executable, "-c", f"{code}sys.exit(main(['curves', '--out', 'board']))"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: this environment has no package tensorboard; run `make")
    assert len(done.stderr.splitlines()) == 1
    assert not Path("board").exists()
