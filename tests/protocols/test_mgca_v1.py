"""`mgca_v1` against the public code of MGCA: benchmarks/mgca_v1.md names the test of each point.

The splits are in tests/adaptation/test_resplit.py, the views in test_views.py, the loss in
tests/losses/test_mask.py.
"""

import re

import pytest

from sista import registry
from sista.grid.budgets import BUDGETS
from sista.protocols._base import Protocol
from sista.protocols.mgca_fixed_v1 import mgca_fixed_v1
from sista.protocols.mgca_v1 import mgca_v1
from tests.adapted import adapted
from tests.blobs import blobs, encoder_file
from tests.conftest import ROOT

LIST = (ROOT / "benchmarks" / "mgca_v1.md").read_text()


def settings(task, dataset, fraction=100, rules: Protocol = mgca_v1):
    return rules.settings_for(task, rules.heads[task]["resnet"], dataset, fraction)


def test_optimiser_batch_and_length():
    for dataset in ("chexpert", "rsna_pneumonia", "covidx"):
        chosen = settings("classification", dataset)
        assert (chosen.learning_rate, chosen.weight_decay, chosen.batch) == (5e-4, 1e-6, 48)
        assert (chosen.epochs, chosen.patience, chosen.monitor) == (50, 10, "loss")
    for dataset, batch in (("siim_acr", 8), ("rsna_pneumonia", 16)):
        for fraction in (1, 10, 100):
            chosen = settings("segmentation", dataset, fraction)
            assert (chosen.learning_rate, chosen.weight_decay) == (5e-4, 0.05)
            assert (chosen.batch, chosen.epochs, chosen.patience) == (batch, 50, 10)
    for dataset, low in (("rsna_pneumonia", 2e-4), ("object_cxr", 2.5e-4)):
        for fraction, rate, batch in ((1, low, 8), (10, 5e-4, 16), (100, 5e-4, 16)):
            chosen = settings("detection", dataset, fraction)
            assert (chosen.learning_rate, chosen.batch) == (rate, batch)
            assert (chosen.weight_decay, chosen.monitor) == (1e-6, "map_40_75")


def test_training_images_are_changed_as_in_the_source():
    assert settings("classification", "chexpert").augment == "moco"
    assert settings("classification", "rsna_pneumonia").augment == "crop"
    assert settings("classification", "covidx").augment == "crop"
    assert settings("segmentation", "siim_acr").augment == "affine"
    assert settings("segmentation", "rsna_pneumonia").augment == "affine"
    assert settings("detection", "rsna_pneumonia").augment == "none"
    # 256 px of which 224 are seen, but for masks and boxes.
    assert [round(224 * settings(t, "rsna_pneumonia").zoom) for t in mgca_v1.heads] == [
        256,
        224,
        224,
    ]


def test_the_last_smaller_batch_is_dropped_and_the_loss_is_the_logarithm():
    for task in mgca_v1.heads:
        assert settings(task, "rsna_pneumonia").drop_last
        assert not settings(task, "rsna_pneumonia", rules=mgca_fixed_v1).drop_last
    for head in mgca_v1.heads["segmentation"].values():
        assert settings("segmentation", "siim_acr").head[head] == {"log_dice": True}


def test_pre_training_warms_up_for_two_fifths_and_waits_five_epochs():
    paper = BUDGETS["paper"]
    assert (paper.warmup, paper.patience, paper.epochs) == (0.4, 5, 50)
    assert (paper.learning_rate, paper.weight_decay, paper.batch) == (2e-5, 0.05, 144)


def test_the_corrected_protocol_keeps_the_optimisers_and_nothing_else_of_the_code():
    for task, dataset in (
        ("classification", "chexpert"),
        ("segmentation", "siim_acr"),
        ("detection", "object_cxr"),
    ):
        for fraction in (1, 10, 100):
            ours, theirs = (
                settings(task, dataset, fraction, rules) for rules in (mgca_fixed_v1, mgca_v1)
            )
            assert (ours.learning_rate, ours.batch) == (theirs.learning_rate, theirs.batch)
            assert ours.augment == "none"
        assert mgca_fixed_v1.split_rule(task, dataset) is None
    assert not settings("segmentation", "siim_acr", rules=mgca_fixed_v1).head
    assert mgca_fixed_v1.differs == {}


def test_the_list_names_every_difference_of_the_captions_and_tests_that_exist():
    for differs in mgca_v1.differs.values():
        for difference in differs:
            assert difference in LIST
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", LIST)
    assert len(named) > 10
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), (file, test)


@pytest.mark.parametrize("task", mgca_v1.heads)
def test_the_protocol_trains_by_epochs_with_its_views(tmp_path, task):
    manifest = blobs(tmp_path / "data", 30, dataset="rsna_pneumonia@test")
    encoder = encoder_file(tmp_path / "resnet_tiny.safetensors", "resnet_tiny", "tiny")
    head = registry.find("protocols", "mgca_v1").heads[task]["resnet"]
    words = {"protocol": "mgca_v1", "dataset": "rsna_pneumonia@test"}
    frame, _, run = adapted(manifest, encoder, tmp_path / "p.parquet", head, **words)
    assert set(frame["subset"]) == {"val", "test"}
    found = run["resolved"]["100"]
    expected = settings(task, "rsna_pneumonia")
    assert [found[n] for n in ("batch", "augment", "drop_last")] == [
        expected.batch,
        expected.augment,
        True,
    ]
