"""Stage adapt on discs: heads learn, resume to equal predictions, and say what they refuse."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from sista import registry, tables
from sista.adaptation.job import Job
from sista.errors import UserError
from sista.preparation.splits import split_hash
from sista.scoring.evaluate import evaluate
from sista.stages.adapt import adapt
from tests.blobs import blobs, encoder_file

SHORT = {"iterations": 2}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return blobs(tmp_path_factory.mktemp("blobs")).parent


def run(
    place, out, head="linear", encoder="resnet_tiny", changes=None, dataset="blobs@test", **words
):
    checkpoint = place / f"{encoder}.safetensors"
    if not checkpoint.is_file():
        encoder_file(checkpoint, encoder)
    given = {"draws": [0], "fractions": [100], "budget": "quick", "protocol": "quick_v1", **words}
    adapt(
        dataset=dataset,
        head=head,
        manifest=place / "manifest.parquet",
        split=place / "manifest.split.parquet",
        encoder=checkpoint,
        out=out,
        settings=json.dumps(changes or {}),
        **given,
    )
    made = json.loads(out.with_name("run.json").read_text())["run"]
    return tables.read(out, f"predictions_{made['task']}"), made


@pytest.mark.parametrize(
    ("head", "encoder", "metric", "least"),
    [
        ("linear", "resnet_tiny", "auroc", 0.9),
        ("unet", "resnet_tiny", "dice_positive", 0.6),
        ("setr_pup", "vit_tiny", "dice_positive", 0.5),
        ("yolov3", "resnet_tiny", "ap50", 0.3),
        ("yolov3", "vit_tiny", "ap50", 0.3),
    ],
)
def test_heads_learn_discs(place, tmp_path, head, encoder, metric, least):
    (frame, meta), made = run(place, tmp_path / "p.parquet", head, encoder)
    part = frame[frame["subset"] == "test"]
    rules = {"labels": meta["labels"], "multiclass": False, "dataset": "blobs", "bootstrap": 0}
    found = {v.label: v.value for v in evaluate(made["task"], part, **rules, only=metric)}
    assert found["disc"] > least
    assert part["image_id"].nunique() == 30
    assert made["family"] == encoder.partition("_")[0]


def test_masks_are_learned_where_the_zoom_shows_them(place, tmp_path, monkeypatch):
    settings = registry.find("protocols", "quick_v1").settings
    monkeypatch.setitem(settings, "segmentation", replace(settings["segmentation"], zoom=1.5))
    (frame, meta), made = run(place, tmp_path / "p.parquet", "unet")
    part = frame[frame["subset"] == "test"]
    rules = {"labels": meta["labels"], "multiclass": False, "dataset": "blobs", "bootstrap": 0}
    found = {v.label: v.value for v in evaluate(made["task"], part, **rules, only="dice_positive")}
    # With masks that are not zoomed too, the head reaches 0.86.
    assert found["disc"] > 0.93


def test_the_plateau_of_pre_training_is_told(place, tmp_path):
    encoder_file(place / "late.safetensors", "resnet_tiny", plateau="late")
    for name, word in (("resnet_tiny", None), ("late", "late")):
        (_, meta), made = run(place, tmp_path / f"{name}.parquet", encoder=name, changes=SHORT)
        assert meta["run"]["plateau"] == made["plateau"] == word


def test_metadata_say_where_predictions_come_from(place, tmp_path):
    words = {"fractions": [1, 10], "draws": [0, 1]}
    (frame, meta), made = run(place, tmp_path / "p.parquet", changes=SHORT, **words)
    told = meta["run"]
    assert set(zip(frame["draw"], frame["fraction"], strict=True)) == {(0, 10), (1, 10)}
    assert set(frame["subset"]) == {"val", "test"}
    reasons = {(r["draw"], r["fraction"]): r["reason"] for r in meta["refused"]}
    assert reasons == {(0, 1): "too few images", (1, 1): "too few images"}
    assert told["variant"] == told["method"] == "random_init"
    assert (told["dataset"], told["release"], told["task"]) == ("blobs@test", "1", "classification")
    assert set(told["wall_s"]) == {"0,1", "0,10", "1,1", "1,10"}
    assert (made["draws"], made["fractions"], made["threads"]) == ([0, 1], [1, 10], 1)
    record = json.loads((tmp_path / "run.json").read_text())
    # What was refused had neither settings nor a seed.
    assert set(made["resolved"]) == {"10"}
    assert set(record["seeds"]) == {"head 0,10", "head 1,10", "pretrain"}
    assert frame["score"].between(0, 1).all()


@pytest.mark.parametrize(("protocol", "steps"), [("quick_v1", [3, 0]), ("mgca_v1", [None, 3])])
def test_the_budget_of_the_encoder_shortens_its_heads(tmp_path, protocol, steps):
    folder = blobs(tmp_path / "blobs", 40).parent
    encoder_file(folder / "resnet_tiny.safetensors", "resnet_tiny", budget="tiny")
    words = {"budget": "tiny", "fractions": [10, 100], "protocol": protocol}
    (frame, _), made = run(folder, tmp_path / "p.parquet", **words)
    assert set(frame["fraction"]) == {10, 100}
    for fraction in ("10", "100"):
        resolved = made["resolved"][fraction]
        # What has no effect is not recorded.
        assert [resolved["iterations"], resolved.get("most_steps", 0)] == steps


@pytest.mark.parametrize(
    ("head", "monitor", "reason"),
    [
        ("linear", "loss", "no validation image to stop by its loss"),
        ("yolov3", "map_40_75", "no validation image to stop by its map_40_75"),
    ],
)
def test_early_stopping_without_validation_images_is_refused(tmp_path, head, monitor, reason):
    folder = blobs(tmp_path / "blobs").parent
    split, meta = tables.read(folder / "manifest.split.parquet", "split")
    kept = split[split["subset"] != "val"]
    meta |= {"hash": split_hash(kept)}
    tables.write(kept, folder / "manifest.split.parquet", "split", meta)
    changes = {"iterations": None, "cosine": False, "epochs": 2, "monitor": monitor}
    (frame, made), _ = run(folder, tmp_path / "p.parquet", head, changes=changes)
    assert frame.empty
    assert [r["reason"] for r in made["refused"]] == [reason]


@pytest.mark.parametrize("head", ["linear", "unet", "yolov3", "finetune"])
def test_a_head_that_diverges_is_no_result(place, tmp_path, head):
    changes = {"iterations": 3, "learning_rate": 1e38}
    (frame, meta), _ = run(place, tmp_path / "p.parquet", head, changes=changes, fractions=[10])
    assert frame.empty
    assert [r["reason"] for r in meta["refused"]] == ["training diverged at learning rate 1e+38"]


def test_draws_differ_and_runs_repeat(place, tmp_path):
    words = {"draws": [0, 1], "changes": SHORT}
    (first, _), _ = run(place, tmp_path / "a" / "p.parquet", "unet", **words)
    (second, _), _ = run(place, tmp_path / "b" / "p.parquet", "unet", **words)
    assert first.equals(second)
    (scores, _), _ = run(place, tmp_path / "c" / "p.parquet", "linear", **words)
    by_draw = [scores[scores["draw"] == draw]["score"].tolist() for draw in (0, 1)]
    assert by_draw[0] != by_draw[1]


def test_killed_job_goes_on_to_equal_predictions(place, tmp_path, monkeypatch):
    words = {"draws": [0, 1], "fractions": [10, 100], "changes": SHORT}
    (whole, _), _ = run(place, tmp_path / "whole" / "p.parquet", **words)
    train, trained = Job.adapt, []

    def killed(job, draw, fraction, *rest):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append((draw, fraction))
        return train(job, draw, fraction, *rest)

    out = tmp_path / "part" / "p.parquet"
    monkeypatch.setattr(Job, "adapt", killed)
    with pytest.raises(KeyboardInterrupt):
        run(place, out, **words)
    assert not out.exists()
    trained.clear()
    (frame, _), _ = run(place, out, **words)
    assert trained == [(1, 10), (1, 100)]
    assert frame.equals(whole)
    assert sorted(p.name for p in out.parent.iterdir()) == ["p.parquet", "run.json"]


def test_exclusive_labels_share_one_probability(tmp_path):
    place = blobs(tmp_path, 40, multiclass=True).parent
    (frame, meta), _ = run(place, tmp_path / "p.parquet", changes=SHORT)
    assert meta["multiclass"]
    np.testing.assert_allclose(frame.groupby("image_id")["score"].sum(), 1, rtol=1e-5)


def test_classification_imports_neither_mmdet_nor_mmseg(place, tmp_path):
    run(place, tmp_path / "p.parquet", changes=SHORT)
    code = (
        "import sys; from pathlib import Path; from sista.stages.adapt import adapt\n"
        f"place, out = Path({str(place)!r}), Path({str(tmp_path / 'q.parquet')!r})\n"
        "adapt(protocol='quick_v1', dataset='blobs@test', head='linear', draws=[0], budget='quick',"
        " manifest=place / 'manifest.parquet', split=place / 'manifest.split.parquet', out=out,"
        " encoder=place / 'resnet_tiny.safetensors', fractions=[100],"
        " settings='{\"iterations\": 1}')\n"
        "print(sorted({'mmdet', 'mmseg', 'seaborn', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"head": "setr_pup"}, "for vit, not for resnet"),
        ({"head": "unnet"}, "valid: .*unet"),
        ({"budget": "paper"}, "has budget 'quick', asked for 'paper'"),
        ({"budget": "papr"}, "has budget 'quick', asked for 'papr'"),
        ({"protocol": "quick"}, "unknown protocol 'quick'; valid: .*quick_v1"),
        ({"dataset": "rings@test"}, "is of data set blobs@test, asked for rings@test"),
        ({"draws": []}, "--draws: none named: linear of .* has draws 0, 1"),
        ({"fractions": []}, "--draws: none named: linear of .*"),
        ({"draws": [0, 2, -1]}, "--draws: -1 2: linear of .* has draws 0, 1"),
        ({"draws": [0, 0]}, "--draws, --fractions: a value stands twice"),
        ({"fractions": [100, 100]}, "--draws, --fractions: a value stands twice"),
        ({"fractions": [5]}, "--fractions: 5: linear of .* has fractions 1, 10, 100"),
        ({"head": "zero_shot"}, r"zero_shot \(it is not trained\) has fractions 0"),
        ({"threads": 0}, "--threads: 0, but it must be a number of at least 1"),
        ({"device": "gpu"}, "unknown device 'gpu'; valid: auto, cpu, cuda"),
        ({"changes": {"channel": 3}}, "no setting 'channel'; valid: .*learning_rate"),
        ({"head": "unet", "changes": {"channels": "many"}}, "channels='many'"),
    ],
)
def test_wrong_words_are_answered(place, tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        run(place, tmp_path / "p.parquet", **words)
    assert not list(tmp_path.iterdir())


def test_the_split_of_another_data_set_is_refused(tmp_path):
    place = blobs(tmp_path, 12).parent
    split, meta = tables.read(place / "manifest.split.parquet", "split")
    rings = split.assign(dataset="rings@test")
    tables.write(rings, place / "manifest.split.parquet", "split", meta)
    with pytest.raises(UserError, match=r"split\.parquet: is of data set rings@test, asked for"):
        run(place, tmp_path / "p.parquet")


@pytest.mark.parametrize("head", ["linear", "finetune"])
def test_missing_images_are_named(tmp_path, head):
    place = blobs(tmp_path, 12).parent
    (place / "manifest.images.npy").unlink()
    with pytest.raises(UserError, match=r"manifest.images.npy: .*run prepare"):
        run(place, tmp_path / "p.parquet", head)


def test_cuda_without_a_gpu_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="--device cuda: torch sees no GPU here"):
        run(place, tmp_path / "p.parquet", device="cuda")


def test_a_protocol_without_the_task_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.delitem(registry.find("protocols", "quick_v1").settings, "detection")
    with pytest.raises(UserError, match="quick_v1 says nothing about task detection"):
        run(place, tmp_path / "p.parquet", "yolov3")
