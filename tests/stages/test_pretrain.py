import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sista.encoders import checkpoint
from sista.encoders.checkpoint import load_image_encoder, read_metadata
from sista.engine import loop
from sista.errors import UserError
from sista.files import sha256
from sista.grid.budgets import BUDGETS
from sista.runs import record
from sista.stages import pretrain
from sista.text import stored_vectors as stored
from tests.made_up_corpus import corpus

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, manifest: Path, split: Path, **changes) -> Path:
    out = folder / "encoder.safetensors"
    settings = {"method": "sista", "encoder": "resnet_tiny", "corpus": "made", "budget": "tiny"}
    pretrain.main(manifest=manifest, split=split, out=out, **(settings | changes))
    return out


@pytest.fixture(autouse=True)
def _two_epochs(monkeypatch):
    budget = replace(BUDGETS["tiny"], epochs=2, batch=8)
    monkeypatch.setitem(BUDGETS, "tiny", budget)


@pytest.mark.parametrize("encoder", ["resnet_tiny", "vit_tiny"])
def test_a_killed_run_ends_with_the_same_bits(tmp_path, monkeypatch, encoder):
    manifest, split = corpus(tmp_path)
    whole = run(tmp_path / "whole", manifest, split, encoder=encoder)
    step, last = loop.Trainer.step, int(np.random.default_rng().integers(1, 8))

    def killed(self, chunks, alike, number):
        if number == last:
            raise KeyboardInterrupt
        return step(self, chunks, alike, number)

    again = {"encoder": encoder, "save_every": 1}
    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", manifest, split, **again)
    assert {p.name for p in (tmp_path / "killed").iterdir()} == {"resume.safetensors"}
    resumed = run(tmp_path / "killed", manifest, split, **again)
    assert sha256(whole) == sha256(resumed), f"killed after {last} steps"
    assert not (tmp_path / "killed" / "resume.safetensors").exists()


def test_early_stopping_leaves_no_state(tmp_path):
    out = run(tmp_path / "run", *corpus(tmp_path), method="clip", patience=1)
    names = {"encoder.safetensors", "log.csv", "run.json"}
    assert {p.name for p in out.parent.iterdir()} == names
    asked = json.loads(out.with_name("run.json").read_text())["run"]
    assert asked["resolved_budget"]["patience"] == 1
    told = read_metadata(out)
    assert told["plateau"] in ("left", "late", "stuck")
    assert (told["plateau"] == "stuck") == (told["plateau_left"] is None)


def command(out, manifest, split, *options):
    """The command line of a run with the budget as it is shipped."""
    places = ("--manifest", str(manifest), "--split", str(split), "--out", str(out))
    words = ("--method", "sista", "--encoder", "vit_tiny", "--corpus", "made", "--budget", "quick")
    return ("-m", "sista", "pretrain", *words, *places, *options)


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_process_that_is_told_to_stop_goes_on_from_there(tmp_path, number):
    data = corpus(tmp_path, 100)
    out = tmp_path / "run" / "encoder.safetensors"
    line = (sys.executable, *command(out, *data))
    started = subprocess.Popen(line, cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL)
    while not out.with_name("resume.safetensors").is_file():
        assert started.poll() is None
        time.sleep(0.01)
    started.send_signal(number)
    assert started.wait(60) == 75
    assert not out.exists()
    whole = tmp_path / "whole" / "encoder.safetensors"
    for path in (out, whole):
        again = (sys.executable, *command(path, *data))
        subprocess.run(again, cwd=ROOT, env=environment(), check=True, stderr=subprocess.DEVNULL)
    assert sha256(out) == sha256(whole)
    assert len(pd.read_csv(out.with_name("log.csv"))) == 10


@pytest.mark.slow
def test_torchrun_shares_the_batch_and_one_process_writes(tmp_path):
    data = corpus(tmp_path, 100)
    two = tmp_path / "two" / "encoder.safetensors"
    one = tmp_path / "one" / "encoder.safetensors"
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    for head, path in ((launch, two), ((), one)):
        line = (sys.executable, *head, *command(path, *data))
        subprocess.run(line, cwd=ROOT, env=environment(), check=True, stderr=subprocess.DEVNULL)
    names = {"encoder.safetensors", "log.csv", "run.json", "word_maps.npz"}
    assert {p.name for p in two.parent.iterdir()} == names
    assert json.loads(two.with_name("run.json").read_text())["processes"] == 2
    logs = [pd.read_csv(path.with_name("log.csv")) for path in (one, two)]
    # Rounding grows from step to step; the first epochs show that the same is trained.
    np.testing.assert_allclose(logs[0]["loss"][:2], logs[1]["loss"][:2], rtol=1e-3)


def test_the_state_of_other_settings_is_not_resumed(tmp_path, monkeypatch):
    manifest, split = corpus(tmp_path)
    whole = run(tmp_path / "whole", manifest, split)

    def full(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_checkpoint", full)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "other", manifest, split, settings='{"theta": 0.5, "w_sta": 0.0}')
    assert (tmp_path / "other" / "resume.safetensors").is_file()
    assert sha256(run(tmp_path / "other", manifest, split)) == sha256(whole)


@pytest.mark.parametrize(("suffix", "part"), [(".images.npy", b"9"), (".vocabulary.json", b'":')])
def test_a_damaged_input_is_refused_at_once_and_its_state_is_not_resumed(
    tmp_path, monkeypatch, suffix, part
):
    manifest, split = corpus(tmp_path)
    whole = run(tmp_path / "whole", manifest, split)
    state = tmp_path / "other" / "resume.safetensors"
    file = manifest.with_suffix(suffix)
    good = file.read_bytes()
    # One letter in the place of another, of the last word: still a film, still a vocabulary.
    at = good.rindex(part) - 1
    file.write_bytes(good[:at] + b"8" + good[at + 1 :])
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_checkpoint", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(tmp_path / "other", manifest, split)
    assert state.is_file()
    facts = {path.name: record.fact(path).model_dump() for path in tmp_path.glob("manifest.*")}
    facts[file.name]["sha256"] = hashlib.sha256(good).hexdigest()
    made = json.loads((tmp_path / "whole" / "run.json").read_text()) | {"outputs": facts}
    (tmp_path / "run.json").write_text(json.dumps(made))
    before = state.read_bytes()
    with pytest.raises(UserError, match=f"manifest{suffix}: damaged since it was made"):
        run(tmp_path / "other", manifest, split)
    assert state.read_bytes() == before
    file.write_bytes(good)
    assert sha256(run(tmp_path / "other", manifest, split)) == sha256(whole)


def test_what_a_run_leaves(tmp_path):
    out = run(tmp_path / "run", *corpus(tmp_path), settings='{"theta": 0.8}', variant="sista_08")
    log = pd.read_csv(out.with_name("log.csv"))
    assert list(log["epoch"]) == [1, 2]
    assert {"loss", "sia", "sta", "val_loss", "val_sta", "val_sta_swapped"} <= set(log)
    facts = json.loads(out.with_name("run.json").read_text())
    assert facts["run"]["settings"] == {"theta": 0.8}
    assert facts["run"]["resolved"]["theta"] == 0.8
    assert set(facts["outputs"]) == {"encoder.safetensors", "log.csv", "word_maps.npz"}
    assert facts["wall_s"] > 0
    encoder, metadata = load_image_encoder(out)
    assert metadata["variant"] == "sista_08"
    assert encoder(torch.zeros(1, 3, 64, 64)).pooled.shape == (1, 256)
    maps = np.load(out.with_name("word_maps.npz"))
    assert maps["weights"].shape[:2] == maps["words"].shape
    sums = maps["weights"].sum((2, 3))[maps["valid"]]
    np.testing.assert_allclose(sums, 1.0, rtol=1e-5)


def test_methods_share_the_first_weights(tmp_path):
    data = corpus(tmp_path)
    start = load_image_encoder(run(tmp_path / "a", *data, method="random_init"))[0]
    assert read_metadata(tmp_path / "a" / "encoder.safetensors")["method"] == "random_init"
    again = load_image_encoder(run(tmp_path / "b", *data, method="random_init", seed=1))[0]
    first, other = (e.body.conv1[0].weight for e in (start, again))
    assert not torch.equal(first, other)


def test_report_vectors_are_made_once(tmp_path, monkeypatch):
    data = corpus(tmp_path)
    first = run(tmp_path / "a", *data)
    assert len(list((tmp_path / stored.FOLDER).glob("[!.]*"))) == 2

    def again(*_):
        raise AssertionError("made again")

    monkeypatch.setattr(stored, "encode", again)
    assert sha256(run(tmp_path / "b", *data)) == sha256(first)


def test_a_corpus_without_vocabulary_must_be_prepared_again(tmp_path):
    data = corpus(tmp_path)
    (tmp_path / "manifest.vocabulary.json").unlink()
    with pytest.raises(UserError, match=r"manifest\.vocabulary\.json: no such file; run prepare"):
        run(tmp_path / "a", *data, method="clip")


def test_training_lowers_the_loss(tmp_path):
    out = run(tmp_path / "run", *corpus(tmp_path), method="supervised", budget="tiny")
    log = pd.read_csv(out.with_name("log.csv"))
    assert log["loss"].iloc[-1] < log["loss"].iloc[0]


def test_errors_name_the_remedy(tmp_path):
    data = corpus(tmp_path)
    with pytest.raises(UserError, match="no released weights"):
        run(tmp_path / "a", *data, method="imagenet")
    with pytest.raises(UserError, match="not valid JSON"):
        run(tmp_path / "a", *data, settings="{")
    with pytest.raises(UserError, match=r"unknown method 'clop'; valid: .*clip"):
        run(tmp_path / "a", *data, method="clop")
    for method in ("sista", "random_init"):
        with pytest.raises(UserError, match="is of data set made, asked for chexpert"):
            run(tmp_path / "a", *data, corpus="chexpert", method=method)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"settings": "[1]"}, "must be a JSON object"),
        ({"settings": '{"theta": "high"}'}, "theta='high': expected float"),
        ({"settings": '{"theta": 0.5, "theta": 0.6}'}, "'theta' stands twice"),
        ({"settings": '{"theta": NaN}'}, "expected a finite number"),
        ({"settings": '{"thetta": 0.5}'}, "sista has no setting 'thetta'; valid: .*theta"),
        ({"settings": '{"top_k": 4}'}, "top_k=4 has no effect"),
        ({"settings": '{"temperature": 7.0}'}, "temperature: 7"),
        ({"method": "clop"}, "unknown method 'clop'; valid: .*clip"),
        ({"method": "released"}, "released needs the setting 'weights'"),
        ({"encoder": "resnet_18"}, "unknown encoder 'resnet_18'; valid: "),
        ({"budget": "long"}, "unknown budget 'long'; valid: "),
        ({"precision": "fp8"}, "unknown precision 'fp8'; valid: no, bf16, fp16"),
        ({"chunk": -1}, "chunk: -1"),
        ({"patience": -1}, "patience: -1"),
        ({"budget": "once", "patience": 100}, "patience 100 would change nothing: the only epoch"),
        ({"budget": "once", "chunk": 4}, "chunk 4 would change nothing: a batch has 4 pairs"),
        ({"threads": 0}, "--threads: 0"),
        ({"save_every": 0}, "--save-every: 0"),
        ({"seed": -1}, "--seed: -1"),
        ({"device": "gpu"}, "unknown device 'gpu'; valid: auto, cpu, cuda"),
        ({"method": "random_init", "patience": 2}, "random_init is not trained: --patience"),
        ({"method": "random_init", "compiled": "on"}, "random_init is not trained: --compiled"),
        ({"compiled": "yes"}, "--compiled: unknown word .yes.; valid: auto, on, off"),
        ({}, "absent.parquet: no such file; run prepare first"),
    ],
)
def test_what_is_wrong_is_said_before_any_data_is_read(tmp_path, changes, told):
    absent = tmp_path / "absent.parquet"
    with pytest.raises(UserError, match=told) as caught:
        run(tmp_path / "a", absent, absent, **changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_a_vit_takes_no_other_patches_than_its_own(tmp_path):
    with pytest.raises(UserError, match="its patches are 8 px, so patch_stride=16 has no effect"):
        run(tmp_path, *corpus(tmp_path), encoder="vit_tiny", settings='{"patch_stride": 16}')


def test_a_control_records_no_training(tmp_path):
    out = run(tmp_path / "run", *corpus(tmp_path), method="random_init")
    assert "resolved_budget" not in json.loads(out.with_name("run.json").read_text())["run"]
