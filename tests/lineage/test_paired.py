"""The paired test of two rows across scores tables is that of a grid with both rows."""

from dataclasses import replace

import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError
from sista.lineage.compare import compare
from sista.lineage.paired import paired
from sista.scoring.comparisons import comparisons
from sista.stages import score
from tests import made_up_predictions as made

COLUMNS = ["task", "encoder", "fraction", "difference", "low", "high", "p", "p_holm", "seeds"]


def table(root, runs):
    """Write predictions and scores of some runs in a project of their own; return the scores."""
    for run in runs:
        made.write(root, run)
    scored = score.score_runs(runs, results=root / "results", bootstrap=100)
    frame = pd.DataFrame([row for pair in scored for row in score.rows(*pair)])
    meta = {"bootstrap": 100, "main_metrics": {r.predictions: s.main for r, s in scored}}
    path = root / "results/score/grid.parquet"
    tables.write(frame, path, "scores", meta=meta)
    return path, scored


@pytest.fixture(scope="module")
def grids(tmp_path_factory):
    """Two grids with a row each, of two seeds, and the scores of both."""
    tasks = ("classification", "detection")
    runs = [
        replace(run, pretrain=replace(run.pretrain, seed=seed))
        for run in made.runs(("clip", "sista_no_sta"), tasks)
        for seed in (0, 1)
    ]
    made_of = [
        table(tmp_path_factory.mktemp(name), [run for run in runs if run.variant == name])
        for name in ("clip", "sista_no_sta")
    ]
    return [path for path, _ in made_of], [pair for _, scored in made_of for pair in scored]


def test_it_is_the_test_of_a_grid_with_both_rows(grids):
    (clip, sista), scored = grids
    found = paired(sista, clip, "sista_no_sta", "clip")
    wanted = pd.DataFrame(comparisons(scored, ["clip"]))
    assert len(found) == 12
    assert found["p"].notna().all()
    pd.testing.assert_frame_equal(found[COLUMNS], wanted[COLUMNS])


def test_a_row_equals_itself_under_another_name(grids):
    (clip, _), _ = grids
    found = paired(clip, clip, "clip", "clip")
    assert (found["difference"] == 0).all()
    assert set(found["baseline"]) == {"clip (second)"}


def test_it_is_printed_with_interval_and_p(grids, capsys):
    (clip, sista), _ = grids
    compare(sista, clip, row="sista_no_sta", against="clip")
    told = capsys.readouterr().out
    assert told.count("2 x 2") == 12
    assert "95 % interval" in told


def test_what_cannot_be_paired_is_said(grids, tmp_path):
    (clip, sista), _ = grids
    with pytest.raises(UserError, match="has no row 'moco'; valid: clip"):
        paired(clip, sista, "moco", "sista_no_sta")
    with pytest.raises(UserError, match="--row and --against belong together"):
        compare(clip, sista, row="clip")
    alone = tmp_path / "results" / "score" / "grid.parquet"
    alone.parent.mkdir(parents=True)
    alone.write_bytes(clip.read_bytes())
    with pytest.raises(UserError, match="no such predictions"):
        paired(alone, clip, "clip", "clip")
