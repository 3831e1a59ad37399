"""The main scores for DVC: means over draws and seeds, n/a left out, equal bytes, the schema."""

import io
import json

import pandas as pd
import pandera.pandas as pa
import pytest

from sista.scoring.summary import PLOTS, Metrics, summary_files, write_summary
from tests.conftest import ROOT

RUN = {"protocol": "quick_v1", "dataset": "chexpert@phantom", "head": "linear"}
RUN |= {"encoder": "resnet_tiny", "subset": "test", "label": "macro", "metric": "auroc"}


def table(*values):
    """Return scores: variant, fraction, draw, value; the predictions are named by the variant."""
    rows = [
        {**RUN, "variant": v, "predictions": v, "fraction": f, "draw": d, "value": x}
        for v, f, d, x in values
    ]
    other = {**rows[-1], "metric": "auprc", "value": 0.1}
    return pd.DataFrame([*rows, other, {**rows[-1], "subset": "val", "value": 0.2}])


SCORES = table(
    ("sista", 10, 0, 0.5),
    ("sista", 10, 1, 0.75),
    ("sista", 1, 0, float("nan")),
    ("clip", 10, 0, 0.625),
)
MAIN = {"sista": "auroc", "clip": "auroc"}


def test_the_metrics_are_means_of_the_main_metric_and_have_no_entry_for_na(tmp_path):
    metrics, plots = write_summary(SCORES, MAIN, tmp_path / "grid.parquet")
    assert [metrics.name, plots.name] == ["grid.metrics.json", "grid.plots.csv"]
    of_encoder = {"sista": {"auroc_10": 0.625}, "clip": {"auroc_10": 0.625}}
    place = {"quick_v1": {"chexpert@phantom": {"linear": {"resnet_tiny": of_encoder}}}}
    assert json.loads(metrics.read_text()) == place
    read = pd.read_csv(io.StringIO(plots.read_text()))
    assert list(read["run"]) == [
        "chexpert@phantom linear resnet_tiny sista 10 %",
        "chexpert@phantom linear resnet_tiny clip 10 %",
    ]
    assert read["runs"].tolist() == [2, 1]
    assert read["std"].iloc[0] == pytest.approx(0.125 * 2**0.5)
    assert pd.isna(read["std"].iloc[1])


def test_equal_scores_give_equal_bytes(tmp_path):
    first = [path.read_bytes() for path in write_summary(SCORES, MAIN, tmp_path / "a.parquet")]
    again = [path.read_bytes() for path in write_summary(SCORES, MAIN, tmp_path / "b.parquet")]
    assert first == again


def test_a_value_out_of_range_leaves_no_file(tmp_path):
    with pytest.raises(pa.errors.SchemaError):
        write_summary(table(("clip", 10, 0, 86.6)), MAIN, tmp_path / "grid.parquet")
    assert not any(path.exists() for path in summary_files(tmp_path / "grid.parquet"))


def test_the_schema_of_metrics_has_not_drifted():
    file = ROOT / "workflow" / "schemas" / "metrics.schema.json"
    made = json.dumps(Metrics.model_json_schema(), indent=1, sort_keys=True) + "\n"
    assert file.read_text() == made, f"run: sista schema --of metrics --out {file}"


def test_a_grid_without_any_value_has_empty_files(tmp_path):
    nothing = SCORES.assign(value=float("nan"))
    metrics, plots = write_summary(nothing, MAIN, tmp_path / "grid.parquet")
    assert json.loads(metrics.read_text()) == {}
    assert plots.read_text() == ",".join(PLOTS.columns) + "\n"
