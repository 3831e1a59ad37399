"""The real stages through Snakemake on the tiny phantom."""

import pandas as pd
import pytest

from tests.conftest import Project

GRID = """
title: One new method
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants: [my_method]
draws: [0]
fractions: [100]
adapt:
  - {protocol: quick_v1, dataset: mimic_cxr@phantom_tiny, task: classification}
"""
METHOD = '''"""A method of one's own: CLIP with a warmer start."""

from sista.engine.interface import Objective
from sista.methods.clip import clip


def my_method(*, temperature: float = 0.2) -> Objective:
    """Return the objective.

    Args:
        temperature: where the learned temperature starts.
    """
    return clip(temperature=temperature)
'''


def test_a_method_is_one_file_and_one_grid_line(project):
    (project.folder / "sista" / "methods" / "my_method.py").write_text(METHOD)
    (project.folder / "mine.yaml").write_text(GRID)
    project.snakemake("mine.yaml")
    report = project.folder / "results" / "report" / "mine"
    table = pd.read_csv(report / "classification.csv")
    assert "my_method" in table.to_string()
    assert "my_method" in (report / "classification.md").read_text()
    assert "my_method" in (report / "index.html").read_text()
    shown = project.run("python", "-m", "sista", "show", "results/score/mine.parquet")
    assert "my_method" in shown
    assert "HTML report: results/report/mine/index.html" in shown
    assert "my_method" in project.run("python", "-m", "sista", "list", "methods")


@pytest.mark.slow
def test_the_smoke_grid_gives_the_same_bits_whatever_the_cores(project, tmp_path):
    # Both copies first: the project may be edited while the test runs.
    copies = {cores: Project(tmp_path / cores) for cores in ("1", "2")}
    grid = "grid=benchmarks/smoke.yaml"
    for cores, copy in copies.items():
        copy.run("snakemake", "--cores", cores, "--config", grid)
        assert "Nothing to be done" in copy.run("snakemake", "--cores", cores, "--config", grid)
    scores = [str(copy.folder / "results" / "score" / "smoke.parquet") for copy in copies.values()]
    assert "equal values" in project.run("python", "-m", "sista", "compare", *scores)
