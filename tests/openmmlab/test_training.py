"""Training on mmengine's Runner: order, early stopping, resume to the same bits, quietness."""

import logging
from itertools import chain

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from sista.openmmlab.training import STATE, PassThrough, ShuffledBatches, train_head
from sista.protocols._base import Settings

DATA = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
TRUTH = DATA @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]).unsqueeze(1)
BY_EPOCHS = Settings(0.05, 0.0, 8, epochs=12, patience=3)


class Regression(BaseModel):
    def __init__(self):
        super().__init__(data_preprocessor=PassThrough())
        torch.manual_seed(3)
        self.layer = nn.Sequential(nn.Dropout(0.2), nn.Linear(5, 1))

    def forward(self, inputs, data_samples=None, mode="tensor"):
        predicted = self.layer(inputs)
        return {"loss": ((predicted - data_samples) ** 2).mean()} if mode == "loss" else predicted


def make(rows, _visits):
    return {"inputs": DATA[rows], "data_samples": TRUTH[rows]}


def judge(model):
    model.eval()
    with torch.no_grad():
        return float(model(DATA[30:], TRUTH[30:], mode="loss")["loss"])


def train(settings, folder, judge=judge):
    return train_head(
        Regression(), range(30), make, settings, seed=1, folder=folder, judge=judge
    ).state_dict()


def test_batches_cover_every_row_in_an_order_of_the_seed():
    batches = ShuffledBatches(range(10), lambda rows, _: rows, 4, seed=5)
    first, second = list(batches), list(batches)
    assert len(batches) == 3
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(10))
    assert first != second
    assert first == list(ShuffledBatches(range(10), lambda rows, _: rows, 4, seed=5))


def test_batches_by_iterations_are_full():
    batches = list(ShuffledBatches([7, 8, 9], lambda rows, _: rows, 4, seed=0, iterations=6))
    assert [len(batch) for batch in batches] == [4] * 6
    assert sorted(chain(*batches)) == sorted([7, 8, 9] * 8)


def test_a_pass_may_end_early_and_is_judged_once(tmp_path):
    judged = []

    def count(model):
        judged.append(judge(model))
        return judged[-1]

    made = []

    def counted(rows, visits):
        made.append(rows)
        return make(rows, visits)

    settings = Settings(0.05, 0.0, 8, epochs=1, most_steps=2)
    train_head(Regression(), range(30), counted, settings, seed=1, folder=tmp_path, judge=count)
    assert [len(rows) for rows in made] == [8, 8]
    assert len(judged) == 1
    assert len(ShuffledBatches(range(5), make, 8, seed=0, most=2)) == 1


@pytest.mark.parametrize(
    "settings", [Settings(0.05, 0.0, 8, iterations=40, cosine=True), BY_EPOCHS]
)
def test_same_seed_same_bits(settings, tmp_path):
    first = train(settings, tmp_path / "a")
    second = train(settings, tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (tmp_path / "a").exists()


def test_early_stopping_ends_on_the_best_weights(tmp_path):
    seen = []

    def worse_after_second(model):
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        return 1.0 if len(seen) == 2 else 2.0 + len(seen)

    last = train(BY_EPOCHS, tmp_path, worse_after_second)
    assert len(seen) == 2 + BY_EPOCHS.patience
    assert all(torch.equal(last[name], seen[1][name]) for name in last)


def test_resumed_training_gives_the_same_bits(tmp_path):
    whole = train(BY_EPOCHS, tmp_path / "whole")
    calls = []

    def killed(model):
        calls.append(judge(model))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return calls[-1]

    with pytest.raises(KeyboardInterrupt):
        train(BY_EPOCHS, tmp_path / "part", killed)
    assert (tmp_path / "part" / STATE).is_file()
    resumed = train(BY_EPOCHS, tmp_path / "part")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_nothing_is_logged_and_logging_is_left_alone(tmp_path, capfd):
    train(Settings(0.05, 0.0, 8, iterations=3), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == 0


def test_training_by_epochs_needs_a_judge(tmp_path):
    with pytest.raises(ValueError, match="judge"):
        train(BY_EPOCHS, tmp_path, None)
