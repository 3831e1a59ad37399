import pandas as pd
import pytest

from sista import tables
from sista.stages import score
from tests import made_up_predictions as made

GRID = """
title: Made-up suite
budget: quick
corpus: mimic_cxr@phantom
encoders: [resnet_tiny, vit_tiny]
variants:
  random_init:
  clip:
  sista_no_sta: {method: sista, w_sta: 0.0}
  supervised:
draws: [0, 1]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom, task: classification}
  - {protocol: quick_v1, dataset: rsna_pneumonia@phantom, task: segmentation}
  - {protocol: quick_v1, dataset: rsna_pneumonia@phantom, task: detection}
"""


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A folder with a grid, its predictions and scores."""
    root = tmp_path_factory.mktemp("project")
    (root / "suite.yaml").write_text(GRID)
    for run in made.runs():
        refused = (1,) if run.task == "detection" and run.pretrain.family == "vit" else ()
        made.write(root, run, refused=refused)
    score.score(
        grid=root / "suite.yaml",
        out=root / "results/score/suite.parquet",
        results=root / "results",
        bootstrap=100,
    )
    return root


@pytest.fixture(scope="session")
def scores(project) -> tuple[pd.DataFrame, dict]:
    return tables.read(project / "results/score/suite.parquet", "scores")
