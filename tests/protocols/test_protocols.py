"""Protocols: values of PROTOCOLS.md, exceptions, and no torch."""

import subprocess
import sys
from dataclasses import replace

import pytest

from sista import registry
from sista.errors import UserError
from sista.grid.budgets import BUDGETS
from sista.protocols.mgca_v1 import mgca_v1
from sista.protocols.quick_v1 import quick_v1
from sista.tasks._base import find_task


def test_exceptions_by_data_set_and_fraction():
    def rate(dataset, fraction):
        return mgca_v1.settings_for("detection", "yolov3", dataset, fraction).learning_rate

    assert rate("rsna_pneumonia@phantom", 1) == 2e-4
    assert rate("object_cxr", 1) == 2.5e-4
    assert rate("rsna_pneumonia", 10) == 5e-4
    assert mgca_v1.settings_for("segmentation", "unet", "siim_acr", 100).batch == 8
    assert mgca_v1.settings_for("segmentation", "unet", "rsna_pneumonia", 100).batch == 16
    bare = replace(mgca_v1, settings={})
    with pytest.raises(UserError, match="says nothing about task detection, and head yolov3"):
        bare.settings_for("detection", "yolov3", "siim_acr", 100)


def test_a_protocol_speaks_before_the_head_and_the_head_before_the_task():
    silent = {k: v for k, v in quick_v1.settings.items() if k != "finetune"}
    bare = replace(quick_v1, settings=silent)
    own = bare.settings_for("classification", "finetune", "chexpert", 100)
    assert (own.learning_rate, own.layer_decay) == (5e-4, 0.75)
    named = quick_v1.settings_for("classification", "finetune", "chexpert", 100)
    assert (named.learning_rate, named.iterations) == (2e-3, 50)
    assert quick_v1.settings_for("classification", "linear", "chexpert", 100).iterations == 200


def test_few_films_come_in_smaller_batches_under_quick_v1():
    def batch(task, head, fraction):
        return quick_v1.settings_for(task, head, "rsna_pneumonia@phantom", fraction).batch

    for task, head in (("segmentation", "unet"), ("detection", "yolov3")):
        assert [batch(task, head, fraction) for fraction in (1, 10, 100)] == [8, 8, 16]
    assert batch("classification", "linear", 1) == 48


def test_chexpert_counts_five_labels():
    options = mgca_v1.options_for("chexpert@phantom")
    assert len(options["labels"]) == 5
    assert options["label_policy"] == "mixed"
    assert mgca_v1.options_for("rsna_pneumonia") == {"label_policy": None, "labels": None}


def test_a_budget_that_only_shows_that_all_runs_shortens_heads():
    plain = mgca_v1.settings_for("segmentation", "unet", "siim_acr", 1)
    assert mgca_v1.settings_for("segmentation", "unet", "siim_acr", 1, "paper") == plain
    assert mgca_v1.settings_for("segmentation", "unet", "siim_acr", 1, "released") == plain
    short = mgca_v1.settings_for("segmentation", "unet", "siim_acr", 1, "tiny")
    assert (short.iterations, short.epochs, short.most_steps) == (None, 1, 3)
    assert short.head["unet"]["channels"] == 32
    assert (short.batch, short.learning_rate) == (plain.batch, plain.learning_rate)
    by_steps = quick_v1.settings_for("segmentation", "unet", "siim_acr", 1, "tiny")
    assert (by_steps.iterations, by_steps.most_steps) == (3, 0)
    # What the budget does not name stays the protocol's.
    assert by_steps.head["unet"] == {"channels": 32, "steps": 3, "standardise": True}


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=lambda budget: budget.word)
def test_budgets_name_settings_that_heads_have(budget):
    for head, changes in budget.head.items():
        known = registry.settings("heads", head)
        assert not any(registry.check_setting(known[n], value) for n, value in changes.items())
    assert budget.head_steps or not budget.head


@pytest.mark.parametrize("word", registry.names("protocols"))
def test_heads_fit_task_and_family(word):
    protocol = registry.find("protocols", word)
    assert protocol.word == word
    for task, by_family in protocol.heads.items():
        assert find_task(task).metric(protocol.main_metric(task) or find_task(task).metrics[0].word)
        for family, head in by_family.items():
            assert registry.constant("heads", head, "TASK") == task
            assert family in registry.constant("heads", head, "LEVELS")
    for settings in protocol.settings.values():
        for head, changes in settings.head.items():
            known = registry.settings("heads", head)
            wrong = [registry.check_setting(known[name], value) for name, value in changes.items()]
            assert not any(wrong)


def test_protocols_are_read_without_torch():
    words = "sista.protocols.quick_v1, sista.protocols.mgca_fixed_v1"
    code = f"import sys, {words}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
