"""What a grid lacks: raw data and weights, each told once, and only where they are still needed."""

from pathlib import Path

import pytest

from sista.errors import UserError
from sista.monitor.preflight import check

GRID = """
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants:
  clip:
  mine: {method: released, weights: mine.safetensors}
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}
  - {protocol: quick_v1, dataset: siim_acr, task: segmentation}
"""


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SISTA_DATA", raising=False)
    Path("grid.yaml").write_text(GRID)
    return Path("grid.yaml")


def test_all_that_is_missing_is_told(grid):
    with pytest.raises(UserError) as told:
        check(grid)
    text = str(told.value)
    assert "siim_acr: SISTA_DATA is not set" in text
    assert "variant mine: mine.safetensors: no such file of weights" in text
    assert text.endswith("grid.yaml: 2 missing, see above")
    assert "chexpert" not in text


def test_what_is_made_needs_no_source(grid, capsys):
    encoder = "results/pretrain/tiny/mine/resnet_tiny/mimic_cxr@phantom_tiny/seed0"
    for name in ("results/fetch/siim_acr/inventory.parquet", f"{encoder}/encoder.safetensors"):
        Path(name).parent.mkdir(parents=True)
        Path(name).touch()
    check(grid)
    assert "raw data and weights of all jobs are there" in capsys.readouterr().out
