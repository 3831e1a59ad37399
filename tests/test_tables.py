"""The contracts between stages: what is written is valid, what is wrong is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError


def split(**changes: object) -> pd.DataFrame:
    columns = {
        "dataset": ["d", "d"],
        "subset": ["train", "test"],
        "draw": [0, -1],
        "fraction": [100, -1],
        "image_id": ["a", "b"],
    }
    return pd.DataFrame({**columns, **changes})


def test_a_table_comes_back_as_it_was_with_its_metadata(tmp_path):
    tables.write(split(), tmp_path / "s.parquet", "split", {"hash": "abc", "refused": []})
    frame, meta = tables.read(tmp_path / "s.parquet", "split")
    pd.testing.assert_frame_equal(frame, split().astype({"dataset": object}), check_dtype=False)
    assert meta == {"hash": "abc", "refused": []}
    part, _ = tables.read(tmp_path / "s.parquet", "split", columns=["image_id"])
    assert list(part) == ["image_id"]


def test_a_column_of_nulls_stays_text(tmp_path):
    frame = pd.DataFrame(
        {
            **{"subset": ["val"], "draw": [0], "fraction": [1], "image_id": ["a"]},
            **{"patient_id": ["p"], "label": ["X"], "score": [0.5], "target": [np.nan]},
        }
    )
    tables.write(frame, tmp_path / "p.parquet", "predictions_classification")
    read, _ = tables.read(tmp_path / "p.parquet", "predictions_classification")
    assert read.target.isna().all()
    assert read.target.dtype == float


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (split(subset=["train", "dev"]), ["'subset'", "row 1", "isin"]),
        (split().drop(columns="draw"), ["column 'draw' is missing"]),
        (split(extra=[1, 2]), ["column 'extra' is unknown"]),
        (split(image_id=["a", None]), ["'image_id'", "row 1", "not_nullable"]),
        (pd.concat([split(), split()], ignore_index=True), ["multiple_fields_uniqueness"]),
    ],
)
def test_a_wrong_table_is_refused_with_column_and_row(tmp_path, frame, words):
    path = tmp_path / "s.parquet"
    with pytest.raises(UserError) as error:
        tables.write(frame, path, "split")
    for word in [str(path), "split", *words]:
        assert word in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"s\.parquet: no such file; run the stage"):
        tables.read(tmp_path / "s.parquet", "split")
    (tmp_path / "s.parquet").write_bytes(b"PAR1half")
    with pytest.raises(UserError, match=r"s\.parquet: damaged, or of another format"):
        tables.read(tmp_path / "s.parquet", "split")


def test_scores_of_an_older_version_lack_what_was_added(tmp_path):
    released = Path(__file__).parents[1] / "results/released/phantom/scores.parquet"
    old, meta = tables.read(released, "scores")
    assert old["plateau"].notna().any()
    tables.write(old.drop(columns="plateau"), tmp_path / "a.parquet", "scores", meta)
    again, _ = tables.read(tmp_path / "a.parquet", "scores")
    assert again["plateau"].isna().all()
    rest = [name for name in old if name != "plateau"]
    pd.testing.assert_frame_equal(again[rest], old[rest])
    wrong = old.assign(plateau="gone")
    with pytest.raises(UserError, match="'plateau', row 0"):
        tables.write(wrong, tmp_path / "b.parquet", "scores", meta)
