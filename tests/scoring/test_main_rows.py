"""What rows and metadata of a scores table must agree in."""

import numpy as np
import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError
from sista.runs.provenance import ROOT
from sista.scoring.main_rows import read_scores

RELEASED = ROOT / "results/released/power/scores.parquet"


@pytest.fixture(scope="module")
def released():
    frame, meta = tables.read(RELEASED, "scores")
    return frame.head(60).reset_index(drop=True), dict(meta)


@pytest.mark.parametrize("path", sorted(RELEASED.parents[1].glob("*/scores.parquet")), ids=str)
def test_released_scores_agree(path):
    assert len(read_scores(path)[0])


@pytest.mark.parametrize(
    ("column", "value"), [("value", 73.2), ("low", -0.1), ("high", 0.0), ("high", np.inf)]
)
def test_values_that_are_no_shares_are_refused(tmp_path, released, column, value):
    frame, meta = released
    row = int(np.flatnonzero(frame["low"].notna())[0])
    frame = frame.copy()
    frame.loc[row, column] = value
    tables.write(frame, tmp_path / "x.parquet", "scores", meta)
    with pytest.raises(UserError, match=rf"x\.parquet row {row}: no share"):
        read_scores(tmp_path / "x.parquet")


def test_a_run_without_a_main_metric_is_refused(tmp_path, released):
    frame, meta = released
    for main in ({"results/x": "auroc"}, {path: "no_such" for path in frame["predictions"]}):
        tables.write(frame, tmp_path / "x.parquet", "scores", meta | {"main_metrics": main})
        with pytest.raises(UserError, match=r"x\.parquet: .*run `sista score` again"):
            read_scores(tmp_path / "x.parquet")


@pytest.mark.parametrize("change", [{"fraction": 37}, {"seed": -1}, {"draw": -1}])
def test_numbers_of_no_run_are_refused(released, change):
    with pytest.raises(UserError, match="not a valid scores table"):
        tables.validate(released[0].assign(**change), "scores")


def test_a_row_stands_once(released):
    twice = pd.concat([released[0]] * 2, ignore_index=True)
    with pytest.raises(UserError, match="not a valid scores table"):
        tables.validate(twice, "scores")


def test_tests_have_all_their_fields(tmp_path, released):
    frame, meta = released
    tables.write(frame, tmp_path / "x.parquet", "scores", meta | {"comparisons": [{}]})
    with pytest.raises(UserError, match="comparisons"):
        tables.read(tmp_path / "x.parquet", "scores")
