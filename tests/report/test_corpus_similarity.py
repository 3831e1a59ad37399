"""The verb `similarity`: a table and a figure of a prepared corpus."""

import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError
from sista.report import corpus_similarity as stage
from tests.stages.test_pretrain import corpus

REPORTS = ["no acute process. lungs are clear.", "left effusion.", "large left effusion."]


@pytest.fixture
def data(tmp_path):
    manifest, split = corpus(tmp_path)
    frame, meta = tables.read(manifest, "manifest")
    frame["report"] = [REPORTS[row % 3] for row in range(len(frame))]
    tables.write(frame, manifest, "manifest", meta)
    return manifest, split


def shares(table: pd.DataFrame) -> dict[str, float]:
    chosen = table[table["what"].eq("eliminated")]
    return dict(zip(chosen["rows"], chosen["share"], strict=True))


def test_shares_of_normal_and_abnormal_rows(data, tmp_path, capsys):
    out = tmp_path / "look" / "r.csv"
    stage.inspect(*data, out=out, batch=1000)
    table = pd.read_csv(out)
    pairs = table[table["what"].eq("pairs")]
    assert pairs.groupby("rows")["share"].sum().tolist() == pytest.approx([1.0, 1.0], abs=1e-4)
    # 32 training studies: 11 normal, 11 and 10 abnormal ones.
    assert shares(table)["normal"] == pytest.approx(10 / 31, abs=1e-4)
    assert shares(table)["abnormal"] == pytest.approx((11 * 10 + 10 * 9) / (21 * 31), abs=1e-4)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "normal rows: 32.26% of the others" in capsys.readouterr().out


def test_a_quantile_and_recentring_move_the_cut(data, tmp_path):
    found = []
    for settings in ({"theta": 0.3}, {"theta": 0.3, "recentre": True}, {"quantile": 0.1}):
        stage.inspect(*data, out=tmp_path / "r.csv", **settings)
        found.append(shares(pd.read_csv(tmp_path / "r.csv"))["abnormal"])
    assert found[0] > 0.3
    assert found[2] >= found[0] >= found[1]


def test_a_corpus_without_reports_is_explained(data, tmp_path):
    manifest, split = data
    frame, meta = tables.read(manifest, "manifest")
    frame["report"] = None
    tables.write(frame, manifest, "manifest", meta)
    with pytest.raises(UserError, match=r"manifest\.parquet: no training study with a report"):
        stage.inspect(manifest, split, out=tmp_path / "r.csv")
    with pytest.raises(UserError, match=r"must end in \.csv"):
        stage.inspect(manifest, split, out=tmp_path / "r")
