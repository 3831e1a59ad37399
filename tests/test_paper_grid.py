"""The paper grid from raw licensed layouts to its tables, on stand-ins: no row may be missing.

Its data and weights cannot be had here, and its encoders take a GPU. So one test runs all of its
rows with small encoders (benchmarks/rehearsal.yaml), another a few rows with the real ones.
"""

import pandas as pd
import pytest

from sista import registry, tables
from sista.encoders.specs import encoder_spec
from sista.grid.grid import Grid
from sista.metrics.values import OVERALL
from sista.tasks._base import find_task
from tests.conftest import ROOT, Project
from tests.hub_cache import fill

KEYS = ["variant", "encoder", "seed", "dataset", "head", "draw", "fraction", "metric"]
REAL = """
base: benchmarks/paper.yaml
budget: once
corpus: mimic_cxr@phantom_tiny
variants: [imagenet, sista]
seeds: [0]
draws: [0]
fractions: [100]
adapt:
  - {protocol: mgca_v1, dataset: rsna_pneumonia@phantom_tiny, task: classification}
  - {protocol: mgca_v1, dataset: rsna_pneumonia@phantom_tiny, task: segmentation}
  - {protocol: mgca_v1, dataset: rsna_pneumonia@phantom_tiny, task: detection}
"""


def expected(grid: Grid) -> set[tuple[object, ...]]:
    """Return the overall test rows that a finished grid has, of the metrics of its tables."""
    found = set()
    for run in grid.adapt_runs():
        named = registry.find("protocols", run.protocol).main_metric(run.task)
        metric = named or find_task(run.task).metrics[0].word
        for draw in run.draws:
            for fraction in run.fractions:
                place = (run.variant, run.encoder, run.seed, run.dataset, run.head, draw, fraction)
                found.add((*place, metric))
    return found


def assert_complete(copy: Project, grid: Grid, name: str) -> None:
    """Fail where a row has no number, a table lacks a cell, or a file is not as recorded."""
    scores, _ = tables.read(copy.folder / f"results/score/{name}.parquet", "scores")
    rows = scores[(scores["subset"] == "test") & scores["label"].isin(OVERALL)]
    assert rows[rows["value"].isna()][[*KEYS, "note"]].to_dict("records") == []
    there = set(rows[KEYS].itertuples(index=False, name=None))
    assert expected(grid) - there == set()
    for task in sorted({run.task for run in grid.adapt_runs()}):
        table = pd.read_csv(
            copy.folder / f"results/report/{name}/{task}.csv", keep_default_na=False
        )
        assert set(zip(table["encoder"], table["method"], strict=True)) == {
            (encoder, variant) for encoder in grid.encoders for variant in grid.variants
        }
        assert set(table["notes"]) == {""}
        numbers = [c for c in table.columns[3:-1] if not c.endswith(" std")]
        columns = {(r.dataset, f) for r in grid.adapt_runs() if r.task == task for f in r.fractions}
        assert len(numbers) == len(columns)
        assert table[numbers].map(float).ge(0).all(axis=None)


@pytest.mark.slow
def test_the_whole_grid_from_raw_licensed_layouts_to_its_tables(tmp_path):
    copy = Project(tmp_path)
    stand_ins = copy.folder / "weights" / "rehearsal"
    made = ("-m", "benchmarks.rehearsal.stand_ins", "--out", str(stand_ins), "--threads", "2")
    copy.run("python", *made)
    data = {"SISTA_DATA": str(stand_ins / "data")}
    copy.snakemake("benchmarks/rehearsal.yaml", **data)
    grid = Grid.load(ROOT / "benchmarks" / "rehearsal.yaml")
    assert_complete(copy, grid, "rehearsal")
    releases = {
        word: tables.read_meta(copy.folder / f"results/prepare/{word}/manifest.parquet")["release"]
        for word in grid.datasets()
    }
    assert releases == {
        "mimic_cxr": "2.0.0",
        "chexpert": "v1.0 small",
        "rsna_pneumonia": "stage 2",
        "covidx": "V9A",
        "siim_acr": "stage 1",
        "object_cxr": "2020",
    }
    checked = copy.run("python", "-m", "sista", "verify", **data)
    assert f"{36 + 252 + 6 + 6 + 1 + 1} records checked, 0 findings" in checked
    assert "Nothing to be done" in copy.snakemake("benchmarks/rehearsal.yaml", **data)


@pytest.mark.slow
def test_real_encoders_and_heads_at_full_width(tmp_path):
    copy = Project(tmp_path / "project")
    (copy.folder / "real.yaml").write_text(REAL)
    grid = Grid.load(copy.folder / "real.yaml")
    assert grid.encoders == Grid.load(ROOT / "benchmarks" / "paper.yaml").encoders
    for word in grid.encoders:
        fill(tmp_path / "hub", encoder_spec(word))
    copy.snakemake("real.yaml", HF_HOME=str(tmp_path / "hub"), HF_HUB_OFFLINE="1")
    assert_complete(copy, grid, "real")
