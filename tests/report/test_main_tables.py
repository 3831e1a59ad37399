"""Captions name the smallest difference that would mean something, or say that it is not known."""

import numpy as np
import pandas as pd
import pytest

from sista.metrics.power import Components, smallest_visible
from sista.report.cells import task_table
from sista.report.main_tables import STORED, VARIANCES, main_tables, visible
from sista.scoring.main_rows import main_rows

PARTS = Components(4e-4, 1e-4, 1e-4, 2e-4)
NONE = pd.DataFrame()


@pytest.fixture(scope="module")
def both_encoders(scores):
    return main_rows(scores[0], scores[1]["main_metrics"])


@pytest.fixture(scope="module")
def rows(both_encoders):
    return both_encoders.query("encoder == 'resnet_tiny'")


def study(parts=PARTS, **changes):
    """Return stored components of one line for each fraction."""
    plain = {"dataset": "rsna_pneumonia@phantom", "task": "segmentation", "head": "unet"}
    plain |= {"metric": "dice_positive", "encoder": "resnet_tiny", "cells": 9}
    plain |= dict(zip(VARIANCES, parts, strict=True)) | changes
    return pd.DataFrame([plain | {"fraction": fraction} for fraction in (1, 10, 100)])


def own(parts=PARTS, **changes):
    frame = study(parts, **{"protocol": "quick_v1", "baseline": "clip"} | changes)
    return frame.drop(columns="cells")


def points(seeds, draws, parts=PARTS):
    return f"{100 * smallest_visible(seeds, draws, parts):.1f}"


def test_one_seed_takes_the_stored_components(rows):
    table = task_table(rows, "segmentation")
    said = visible(table, NONE, study())
    assert said.startswith(f"Differences below {points(1, 2)} (1 %), {points(1, 2)} (10 %) and ")
    assert said.endswith(
        "(one comparison chosen beforehand; some 80 % power; variances from the power study)."
    )
    # Of other encoders too where there are none of its own; of other data never.
    assert visible(table, NONE, study(encoder="other")) == said
    assert "is not known" in visible(table, NONE, study(head="another"))
    for name in ("encoder", "kind"):
        both = pd.concat(
            [study(kind="methods"), study([9.0] * 4, **{"kind": "methods"} | {name: "x"})]
        )
        assert visible(table, NONE, both) == said
    assert "is not known" in visible(table, NONE, study(dataset="another"))


def test_several_seeds_and_draws_speak_for_themselves(rows):
    two = pd.concat([rows, rows.assign(seed=1)])
    table = task_table(two, "segmentation")
    pairs = pd.concat([own(), own(3 * np.array(PARTS), baseline="random_init")])
    said = visible(table, pairs, study([9.0] * 4))
    doubled = Components(*(2 * np.array(PARTS)))
    assert f"below {points(2, 2, doubled)} (1 %)" in said
    assert "variances from these scores" in said
    nothing = own([float("nan")] * 4)
    assert "variances from the power study" in visible(table, nothing, study())


def test_what_cannot_be_told_is_said(rows):
    table = task_table(rows, "segmentation")
    assert "is not known: these scores do not tell" in visible(table, NONE, NONE)
    some = visible(table, own().query("fraction == 10"), NONE)
    assert "Differences below" in some
    assert "is not known for rsna_pneumonia@phantom" in some


def test_several_data_sets_have_their_own_numbers(rows):
    more = pd.concat([rows, rows.assign(dataset="other")])
    stored = pd.concat([study(), study(4 * np.array(PARTS), dataset="other")])
    said = visible(task_table(more, "segmentation"), NONE, stored)
    quadruple = Components(*(4 * np.array(PARTS)))
    assert f"rsna_pneumonia@phantom · Dice (images with a lesion): {points(1, 2)} (1 %)" in said
    assert f"other · Dice (images with a lesion): {points(1, 2, quadruple)} (1 %)" in said


def test_main_tables_of_a_grid(scores, tmp_path):
    stored = tmp_path / "components.csv"
    study().to_csv(stored, index=False)
    made = main_tables(*scores, stored=stored)
    assert list(made) == ["classification", "segmentation", "detection"]
    assert "power study" in made["segmentation"].caption
    assert "is not known" in made["detection"].caption
    assert not STORED.is_absolute()


def test_each_encoder_has_its_own_numbers(both_encoders):
    """Pooled, the encoder that seeds move least would be told too large a difference."""
    stored = pd.concat([study(), study(4 * np.array(PARTS), encoder="vit_tiny", head="setr_pup")])
    said = visible(task_table(both_encoders, "segmentation"), NONE, stored)
    quadruple = Components(*(4 * np.array(PARTS)))
    title = "rsna_pneumonia@phantom · Dice (images with a lesion)"
    assert f"{title}, resnet_tiny: {points(1, 2)} (1 %)" in said
    assert f"{title}, vit_tiny: {points(1, 2, quadruple)} (1 %)" in said


def test_a_family_of_comparisons_needs_larger_differences(rows):
    table = task_table(pd.concat([rows, rows.assign(seed=1)]), "segmentation")
    pairs = pd.concat([own(p=0.2, variant=v) for v in ("a", "b", "c", "d")])
    said = visible(table, pairs, NONE)
    strict = 100 * smallest_visible(2, 2, PARTS, level=0.05 / 12)
    assert f"below {points(2, 2)} [{strict:.1f}] (1 %)" in said
    assert "in brackets the hardest of the 12 that Holm's correction takes together" in said
    assert strict > float(points(2, 2))


def test_a_head_of_one_encoder_is_not_unknown_of_the_others(both_encoders):
    more = both_encoders.query("encoder == 'resnet_tiny'").assign(head="finetune")
    table = task_table(pd.concat([both_encoders, more]), "segmentation")
    vit = study(encoder="vit_tiny", head="setr_pup")
    both = pd.concat([study(), vit, study(head="finetune")])
    assert "is not known" not in visible(table, NONE, both)
