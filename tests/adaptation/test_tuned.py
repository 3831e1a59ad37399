"""Fine-tuning: the encoder is trained too, layer by layer, and the checkpoint stays as it is."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sista.adaptation import frozen
from sista.adaptation.classification import LinearClassifier
from sista.adaptation.task import HeadTask
from sista.adaptation.tuned import TunedModel
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.files import sha256
from sista.protocols._base import Settings
from sista.scoring.evaluate import evaluate
from tests.adapted import adapted
from tests.blobs import blobs, encoder_file

SETTINGS = Settings(1e-2, 0.05, 8, iterations=1, layer_decay=0.5)
BY_EPOCHS = {"iterations": None, "cosine": False, "epochs": 4, "patience": 2}


def model_of(word, **changes):
    torch.manual_seed(0)
    encoder = ImageEncoder(encoder_spec(word))
    head = LinearClassifier(encoder.dim, 2, exclusive=False, standardise=False)
    return TunedModel(encoder, head, Settings(1e-2, 0.05, 8, iterations=1, **changes))


@pytest.fixture
def trained(monkeypatch):
    """The models of a job: as they started and as they were trained."""
    pairs, train = [], frozen.train_head

    def kept(model, *rest, **words):
        start = copy.deepcopy(model.state_dict())
        train(model, *rest, **words)
        pairs.append((start, model))
        return model

    monkeypatch.setattr(frozen, "train_head", kept)
    return pairs


def test_finetuning_learns_discs(tmp_path):
    manifest = blobs(tmp_path / "data")
    encoder = encoder_file(tmp_path / "resnet_tiny.safetensors", "resnet_tiny", "tiny")
    changes = {"iterations": 20, "learning_rate": 2e-3}
    frame, meta, _ = adapted(manifest, encoder, tmp_path / "p.parquet", "finetune", changes)
    part = frame[frame["subset"] == "test"]
    rules = {"multiclass": False, "dataset": "blobs", "bootstrap": 0, "only": "auroc"}
    values = evaluate("classification", part, labels=meta["labels"], **rules)
    assert next(v.value for v in values if v.label == "disc") > 0.9


def test_finetuning_is_a_linear_probe_where_the_encoder_does_not_move(discs, checkpoint, tmp_path):
    same = {"learning_rate": 1e-2, "weight_decay": 0.0, "batch": 8, "iterations": 5}
    same |= {"cosine": True, "clip_gradient": None, "standardise": False}
    still = {"batch_norms": "frozen", "layer_decay": 1e-6}
    cases = {"linear": {}, "still": still, "moved": {"layer_decay": 1.0}}
    scores = {}
    for name, changes in cases.items():
        head, out = "linear" if name == "linear" else "finetune", tmp_path / name / "p.parquet"
        frame, _, _ = adapted(discs, checkpoint, out, head, same | changes)
        scores[name] = frame["score"].to_numpy()
    np.testing.assert_allclose(scores["still"], scores["linear"], atol=1e-4)
    assert np.abs(scores["moved"] - scores["linear"]).max() > 1e-2


def test_the_encoder_is_trained_and_the_checkpoint_is_not(discs, checkpoint, tmp_path, trained):
    before = sha256(checkpoint)
    both, _, _ = adapted(discs, checkpoint, tmp_path / "a" / "p.parquet", "finetune", draws=[0, 1])
    alone, _, _ = adapted(discs, checkpoint, tmp_path / "b" / "p.parquet", "finetune", draws=[1])
    assert sha256(checkpoint) == before
    for start, model in trained:
        after = dict(model.named_parameters())
        assert {name.partition(".")[0] for name in after} == {"encoder", "head"}
        still = [name for name, value in after.items() if torch.equal(value, start[name])]
        assert still == []
    # A head starts from the checkpoint, not from what the one before has left.
    assert alone.equals(both[both["draw"] == 1].reset_index(drop=True))


@pytest.mark.parametrize("batch_norms", ["train", "frozen"])
def test_running_statistics_are_those_of_pre_training_where_frozen(
    discs, checkpoint, tmp_path, trained, batch_norms
):
    changes = {"batch_norms": batch_norms}
    adapted(discs, checkpoint, tmp_path / "p.parquet", "finetune", changes)
    ((start, model),) = trained
    after = model.state_dict()
    means = [name for name in after if name.startswith("encoder") and "running" in name]
    kept = [torch.equal(after[name], start[name]) for name in means]
    assert means
    assert all(kept) if batch_norms == "frozen" else not any(kept)
    # Their scales and shifts are trained in both.
    assert not torch.equal(
        after["encoder.body.layer1.0.bn1.weight"], start["encoder.body.layer1.0.bn1.weight"]
    )


def test_frozen_batch_norms_survive_a_switch_to_training():
    model = model_of("resnet_tiny", batch_norms="frozen").train()
    norms = [m for m in model.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert model.encoder.body.layer1.training
    assert all(norm.training for norm in model_of("resnet_tiny").train().encoder.body.modules())


def layer(word, name):
    """Return how far below the top of the encoder a parameter lies, 0 = the top."""
    if word == "resnet_tiny":
        return 4 - int(name[5]) if name.startswith("layer") else 4
    if name.startswith("blocks."):
        return 1 - int(name.split(".")[1])
    return 0 if name.startswith("norm") else 2


@pytest.mark.parametrize("word", ["resnet_tiny", "vit_tiny"])
def test_lower_layers_learn_more_slowly_and_each_parameter_once(word):
    model = model_of(word, layer_decay=0.5)
    groups = list(model.parameter_groups())
    rates = [(id(p), group["lr"]) for group in groups for p in group["params"]]
    assert len(rates) == len(dict(rates))
    assert dict(rates).keys() == {id(p) for p in model.parameters() if p.requires_grad}
    for parameter in model.head.parameters():
        assert dict(rates)[id(parameter)] == 1e-2
    for name, parameter in model.encoder.body.named_parameters():
        expected = 1e-2 * 0.5 ** (1 + layer(word, name))
        assert dict(rates)[id(parameter)] == pytest.approx(expected), name
    decays = {id(p): g.get("weight_decay") for g in groups for p in g["params"]}
    for name, parameter in model.encoder.body.named_parameters():
        bare = parameter.ndim < 2 or name == "pos_embed"
        assert decays[id(parameter)] == (0 if bare else 0.05), name


def test_without_decay_all_layers_learn_at_one_rate():
    assert {group["lr"] for group in model_of("vit_tiny").parameter_groups()} == {1e-2}


@pytest.mark.parametrize("after", [2, 5])
def test_a_killed_job_goes_on_to_equal_bits(discs, checkpoint, tmp_path, monkeypatch, after):
    words = {"draws": [0, 1], "changes": BY_EPOCHS}
    whole, _, _ = adapted(discs, checkpoint, tmp_path / "a" / "p.parquet", "finetune", **words)
    judge, judged = HeadTask.validation_loss, []

    def killed(*arguments):
        judged.append(judge(*arguments))
        if len(judged) == after:
            raise KeyboardInterrupt
        return judged[-1]

    out = tmp_path / "b" / "p.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(HeadTask, "validation_loss", killed)
        with pytest.raises(KeyboardInterrupt):
            adapted(discs, checkpoint, out, "finetune", **words)
    assert not out.exists()
    resumed, _, _ = adapted(discs, checkpoint, out, "finetune", **words)
    assert resumed.equals(whole)
    assert np.isfinite(whole["score"]).all()
