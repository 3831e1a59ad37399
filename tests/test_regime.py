import json
import math

import pandas as pd
import torch

from benchmarks.regime import curves
from benchmarks.regime.run import trials
from benchmarks.regime.trial import Trial, departure
from benchmarks.regime.variations import VARIATIONS
from sista.engine import model
from sista.engine.diagnostics import pair_auroc
from sista.engine.interface import Embedded
from sista.grid.grid import Grid


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


GRID = """
budget: quick
corpus: mimic_cxr@phantom
encoders: [resnet_tiny]
variants: [random_init, clip, siglip]
seeds: [0, 1]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom, task: classification}
"""
# Of 14 epochs; 40 % of them are 5.6, so the state then is that after epoch 5.
SOON = [0.55, 0.7, 0.71, 0.72, 0.73, *[0.9] * 9]
LATE = [0.55] * 6 + [0.8] * 8
BACK = [0.55, 0.7, 0.55, 0.75, 0.76, *[0.85] * 9]


def write_log(results, variant, seed, told, loss):
    folder = results / f"pretrain/quick/{variant}/resnet_tiny/mimic_cxr@phantom/seed{seed}"
    folder.mkdir(parents=True)
    columns = {"epoch": range(1, 15), "val_loss": loss, "pair_auroc": told}
    pd.DataFrame(columns).to_csv(folder / "log.csv", index=False)


def test_the_plateau_of_a_row_is_that_of_its_worst_seed(tmp_path):
    (tmp_path / "grid.yaml").write_text(GRID)
    falling = [3.4, 3.3, 3.1, 3.0, 2.9, *[2.5] * 9]
    write_log(tmp_path, "clip", 0, SOON, falling)
    write_log(tmp_path, "clip", 1, BACK, [3.4] * 5 + [2.0] * 9)
    write_log(tmp_path, "siglip", 0, LATE, falling)
    write_log(tmp_path, "siglip", 1, [0.5] * 14, falling)
    empty = tmp_path / "pretrain/quick/random_init/resnet_tiny/mimic_cxr@phantom/seed0/log.csv"
    empty.parent.mkdir(parents=True)
    empty.write_text("\n")
    found = curves.summary(curves.curves(Grid.load(tmp_path / "grid.yaml"), tmp_path))
    clip, siglip = found.to_dict("records")
    assert (clip["variant"], clip["seeds"], clip["check"]) == ("clip", 2, "2 left")
    assert clip["left"] == 4 / 14
    # ln 32 = 3.47: below 3.22 for good after epoch 3 of one seed and 6 of the other.
    assert clip["left_ln_b"] == 6 / 14
    assert (clip["pairs_then"], clip["pairs_end"], clip["loss_then"]) == (0.73, 0.85, 3.4)
    assert sorted(siglip["check"].split(" ")) == ["1", "1", "late", "stuck"]
    assert math.isnan(siglip["left"])
    # Its loss is on another scale than ln B.
    assert math.isnan(siglip["loss_then"])
    assert math.isnan(siglip["ln_b"])
