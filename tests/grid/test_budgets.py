"""Every field of a budget does what it says, or is refused."""

from dataclasses import fields, replace

import pytest
import torch

from sista import registry
from sista.encoders.image import ImageEncoder
from sista.encoders.text import SMALL
from sista.engine import sources
from sista.engine.corpus import Corpus
from sista.engine.loop import Trainer
from sista.engine.model import PretrainModel
from sista.errors import UserError
from sista.grid.budgets import BUDGETS, Budget, find_budget
from sista.protocols.quick_v1 import quick_v1
from tests.made_up_corpus import corpus
from tests.made_up_pairs import SPECS

MADE = Budget("made", epochs=2, batch=8, learning_rate=1e-2, tokens=24)
# Changes the weights that a training of `MADE` ends with.
TRAINED = {
    "epochs": 3,
    "batch": 12,
    "learning_rate": 2e-2,
    "weight_decay": 0.5,
    "warmup": 0.5,
    "tokens": 5,
    "temperature_rate": 20.0,
    "clip_gradient": 1e-2,
    "precision": "bf16",
    "pairs": 16,
    "flip": True,
}
# Fields that have tests of their own below.
OTHERS = {"word", "chunk", "patience", "head_steps", "head"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Corpus(*corpus(tmp_path_factory.mktemp("corpus"), 40))


def trained(data, folder, budget, **patched):
    """Train CLIP with a budget; return the trainer and its log without times."""
    torch.manual_seed(0)
    objective = registry.find("methods", "clip")()
    image = ImageEncoder(SPECS["vit"])
    made = sources.load_sources(data, side=32, needs=objective.needs, budget=budget, text=SMALL)
    model = PretrainModel(image, made.text, objective.needs, 1)
    trainer = Trainer(model, objective, budget, 0, torch.device("cpu"))
    for name, value in patched.items():
        setattr(trainer, name, value)
    log = trainer.fit(made.train, made.val, folder / "state.pt")
    return trainer, [{k: v for k, v in entry.items() if k != "seconds"} for entry in log]


def weights(trainer):
    state = trainer.model.state_dict() | trainer.objective.state_dict()
    return {name: value.clone() for name, value in state.items()}


def same(one, other):
    """Whether two sets of weights have the same bits; position tables may differ in length."""
    return all(
        value.shape == other[name].shape and torch.equal(value, other[name])
        for name, value in one.items()
        if "position" not in name
    )


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    return trained(data, tmp_path_factory.mktemp("whole"), MADE)


def test_every_field_has_a_case():
    assert {field.name for field in fields(Budget)} == set(TRAINED) | OTHERS


def test_the_same_budget_gives_the_same_bits(data, whole, tmp_path):
    again, log = trained(data, tmp_path, MADE)
    assert same(weights(whole[0]), weights(again))
    assert log == whole[1]


@pytest.mark.parametrize(("name", "value"), [*TRAINED.items(), ("precision", "fp16")])
def test_a_changed_field_trains_other_weights(name, value, data, whole, tmp_path):
    other, log = trained(data, tmp_path, replace(MADE, **{name: value}))
    assert not same(weights(whole[0]), weights(other))
    assert log != whole[1]


@pytest.mark.parametrize(("name", "value"), [("epochs", 3), ("learning_rate", 2e-2)])
def test_the_log_says_how_long_and_how_fast(name, value, data, whole, tmp_path):
    _, log = trained(data, tmp_path, replace(MADE, **{name: value}))
    assert len(log) == (value if name == "epochs" else MADE.epochs)
    if name == "learning_rate":
        assert log[0]["learning_rate"] == pytest.approx(2 * whole[1][0]["learning_rate"])


def test_a_chunk_bounds_what_is_embedded_at_once_and_changes_rounding_only(data, whole, tmp_path):
    seen = []
    budget = replace(MADE, chunk=3, epochs=1)
    encode = PretrainModel.encode

    def counted(self, batch):
        if self.training:
            seen.append(len(batch.images))
        return encode(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PretrainModel, "encode", counted)
        _, log = trained(data, tmp_path / "a", budget)
    # Each pair twice: without graph for the loss, then with it for the gradients.
    assert seen[:6] == [3, 3, 2, 3, 3, 2]
    _, plain = trained(data, tmp_path / "b", replace(MADE, epochs=1))
    assert log[0]["loss"] == pytest.approx(plain[0]["loss"], rel=1e-3)


def test_patience_ends_a_training_that_gets_no_better(data, tmp_path):
    losses = iter([2.0, 1.0, 1.5, 1.25, 0.5])
    budget = replace(MADE, epochs=5, patience=2)
    trainer, log = trained(data, tmp_path, budget, _validated=lambda *_: {"val_loss": next(losses)})
    assert [entry["val_loss"] for entry in log] == [2.0, 1.0, 1.5, 1.25]
    assert trainer.progress.best == 1.0


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_a_budget_reaches_the_heads(task, monkeypatch):
    """Fewer steps and other settings of a head, each without the other too."""
    head = {"unet": {"channels": 8}, "yolov3": {"channels": 8}}
    dataset = "rsna_pneumonia"
    own = quick_v1.heads[task]["resnet"]
    plain = quick_v1.settings_for(task, own, dataset, 10, "quick")
    assert plain == quick_v1.settings_for(task, own, dataset, 10)
    for changes in ({"head": head}, {"head_steps": 1}, {"head": head, "head_steps": 1}):
        monkeypatch.setitem(BUDGETS, "made", replace(MADE, **changes))
        found = quick_v1.settings_for(task, own, dataset, 10, "made")
        for name, settings in changes.get("head", {}).items():
            assert settings.items() <= found.head[name].items()
        steps = (found.iterations, found.most_steps)
        assert (steps == (plain.iterations, plain.most_steps)) == ("head_steps" not in changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", 0),
        ("weight_decay", -0.1),
        ("warmup", 1.5),
        ("tokens", 2),
        ("temperature_rate", -1.0),
        ("clip_gradient", float("inf")),
        ("clip_gradient", 0),
        ("precision", "fp8"),
        ("chunk", -1),
        ("patience", -1),
        ("pairs", -1),
        ("head_steps", -1),
    ],
)
def test_numbers_without_a_meaning_are_refused(name, value):
    with pytest.raises(UserError, match=f"budget made: .*{name}"):
        replace(MADE, **{name: value})


def test_patience_and_chunks_that_cannot_act_are_refused():
    with pytest.raises(UserError, match="made: patience 100 would change nothing: the only epoch"):
        replace(MADE, epochs=1, patience=100)
    with pytest.raises(UserError, match="made: chunk 8 would change nothing: a batch has 8 pairs"):
        replace(MADE, chunk=8)
    assert replace(MADE, chunk=7).chunk == 7
    # It never stops this early; the best epoch is kept all the same.
    assert replace(MADE, patience=100).patience == 100


def test_a_corpus_smaller_than_a_batch_is_refused(data, tmp_path):
    """The record would name a batch that no step had."""
    with pytest.raises(UserError, match="32 studies to train on, fewer than the batch of 33"):
        trained(data, tmp_path, replace(MADE, batch=33))


def test_an_unknown_budget_is_answered_with_the_valid_ones():
    with pytest.raises(UserError, match=r"unknown budget 'long'; valid: tiny, .*paper"):
        find_budget("long")
