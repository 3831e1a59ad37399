"""A page of runs shows settings and curves only where hashes lead from them to the rows."""

import json

import pytest

from sista.files import sha256
from sista.grid.grid import Grid
from sista.scoring.main_rows import read_scores
from sista.site.made_by import histories, planned_settings
from tests.conftest import ROOT

PLACE = "pretrain/**/clip/resnet_tiny/**/"
NAME = "resnet_tiny, seed 0"
LOSSES = """epoch,loss,val_loss,seconds
1,3.4,3.3,5.0
2,3.1,3.0,5.0
"""


@pytest.fixture
def rows(tree):
    scores, _ = read_scores(tree.results / "score/suite.parquet")
    return scores[(scores["variant"] == "clip") & (scores["encoder"] == "resnet_tiny")]


def with_log(tree):
    """Give the run a log that its record names."""
    record = tree.find(f"{PLACE}run.json")
    log = record.with_name("log.csv")
    log.write_text(LOSSES)
    told = json.loads(record.read_text())
    fact = {"sha256": sha256(log), "bytes": log.stat().st_size, "mtime_ns": 0}
    told["outputs"]["log.csv"] = fact
    record.write_text(json.dumps(told))
    return log


def test_the_run_behind_the_scores_is_shown(tree, rows):
    with_log(tree)
    found = histories(rows, tree.results)
    assert list(found.settings) == [NAME]
    assert list(found.logs[NAME]["val_loss"]) == [3.3, 3.0]


def test_a_log_of_another_run_is_not_shown(tree, rows):
    log = with_log(tree)
    log.write_text(LOSSES.replace("3.0", "1.0"))
    found = histories(rows, tree.results)
    assert list(found.settings) == [NAME]
    assert found.logs == {}


def test_an_encoder_made_again_since_is_not_shown(tree, rows):
    with_log(tree)
    record = tree.find(f"{PLACE}run.json")
    told = json.loads(record.read_text())
    told["outputs"]["encoder.safetensors"]["sha256"] = "0" * 64
    record.write_text(json.dumps(told))
    assert histories(rows, tree.results) == ({}, {})


def test_predictions_that_were_not_scored_lead_to_nothing(tree, rows):
    with_log(tree)
    assert histories(rows.assign(predictions_sha256="0" * 64), tree.results) == ({}, {})


def test_settings_come_from_the_grid_file_where_their_hash_is_that_of_the_scores():
    scores, _ = read_scores(ROOT / "results/released/ablation/scores.parquet")
    rows = scores[scores["variant"] == "sista_no_sia"]
    grid = Grid.load(ROOT / "benchmarks/ablation.yaml")
    found = planned_settings(rows, grid)
    assert found["sia_mode"] == "infonce"
    assert found["temperature"] == 0.07
    assert planned_settings(rows.assign(settings_hash="0" * 12), grid) == {}
    assert planned_settings(rows, None) == {}
