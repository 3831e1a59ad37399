"""Every method is trained by the stage itself: two steps on a made-up corpus."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

from sista.encoders.checkpoint import load_image_encoder
from sista.engine import loop
from sista.files import sha256
from sista.grid.budgets import BUDGETS
from tests.made_up_corpus import corpus
from tests.methods.test_methods import trained
from tests.stages.test_pretrain import run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def trainers(monkeypatch):
    """Return a list that every trainer enters."""
    made = []
    fit = loop.Trainer.fit

    def kept(self, *arguments):
        made.append(self)
        return fit(self, *arguments)

    monkeypatch.setattr(loop.Trainer, "fit", kept)
    return made


@pytest.mark.parametrize("method", trained())
def test_two_steps_reach_every_trained_parameter(method, data, trainers, tmp_path, monkeypatch):
    monkeypatch.setitem(
        BUDGETS, "tiny", replace(BUDGETS["tiny"], epochs=1, batch=8, pairs=16, tokens=24)
    )
    out = run(tmp_path, *data, method=method)
    log = pd.read_csv(out.with_name("log.csv"))
    assert all(math.isfinite(value) for value in log.iloc[0])
    [trainer] = trainers
    modules = {"model": trainer.model, "objective": trainer.objective}
    for place, module in modules.items():
        for name, parameter in module.named_parameters():
            state = trainer.optimiser.state.get(parameter)
            assert (state is not None) == parameter.requires_grad, f"{place}.{name}"
            if state is None:
                continue
            assert int(state["step"]) == 2, f"{place}.{name}"
            moments = state["exp_avg_sq"]
            assert torch.isfinite(moments).all(), f"{place}.{name}"
            # A bias before a norm has no gradient in theory.
            assert moments.sum() > 0 or parameter.ndim == 1, f"{place}.{name}"
    encoder, _ = load_image_encoder(out)
    assert encoder(torch.zeros(1, 3, 64, 64)).pooled.shape == (1, 256)


@pytest.mark.parametrize("method", ["ifnd", "pixpro"])
def test_a_killed_run_with_a_state_of_its_own_ends_with_the_same_bits(
    method, data, tmp_path, monkeypatch
):
    monkeypatch.setitem(
        BUDGETS, "tiny", replace(BUDGETS["tiny"], epochs=2, batch=8, pairs=16, tokens=24)
    )
    whole = run(tmp_path / "whole", *data, method=method)
    train_epoch = loop.Trainer._train_epoch

    def killed(self, train, labels, epoch, steps):
        if epoch == 1:
            raise KeyboardInterrupt
        return train_epoch(self, train, labels, epoch, steps)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", *data, method=method)
    assert sha256(run(tmp_path / "killed", *data, method=method)) == sha256(whole)
