import json

import torch

from benchmarks.regime.run import trials
from benchmarks.regime.trial import Trial, departure
from benchmarks.regime.variations import VARIATIONS
from sista.engine import model
from sista.engine.diagnostics import pair_auroc
from sista.engine.interface import Embedded


def test_a_plateau_is_left_where_no_later_epoch_is_back():
    log = {"val_loss": [3.6, 3.1, 3.5, 3.0, 2.9], "pair_auroc": [0.5, 0.5, 0.62, 0.7, 0.8]}
    assert departure(log, 10, 32) == {"left_loss": 0.4, "left_pairs": 0.3}
    assert departure({"val_loss": [3.4]}, 1, 32) == {"left_loss": None, "left_pairs": None}


def test_own_pairs_are_told_from_others():
    image = torch.eye(4)
    assert pair_auroc(Embedded(image=image, report=image)) == 1.0
    assert pair_auroc(Embedded(image=image, report=torch.ones(4, 4))) == 0.5
    assert pair_auroc(Embedded(image=image, second=-image)) == 0.0
    logits, labels = torch.tensor([[2.0], [1.0], [0.0]]), torch.tensor([[1.0], [0.0], [torch.nan]])
    assert pair_auroc(Embedded(logits=logits, labels=labels)) == 1.0
    assert pair_auroc(Embedded()).isnan()


def test_a_line_gives_a_trial_for_each_seed_and_encoder():
    line = json.dumps({"name": "a", "seed": [0, 1], "encoder": ["resnet_tiny", "vit_tiny"]})
    found = list(trials(["# comment", "", line]))
    assert len({trial.key for trial in found}) == 4
    assert found[0].key == Trial("another name").key
    assert Trial("a", plan={"epochs": 3}).key != found[0].key


def test_a_variation_is_undone():
    head, adam = model._projection, torch.optim.AdamW
    with VARIATIONS["norm_first"]("image"), VARIATIONS["adam"]({"betas": [0.9, 0.95]}):
        norm = model._projection(4, 2, "batch", "linear")[0]
        assert isinstance(norm, torch.nn.BatchNorm1d)
        assert torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))]).defaults["betas"][1] == 0.95
    assert model._projection is head
    assert torch.optim.AdamW is adam
