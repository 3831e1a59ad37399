"""Retrieval: one row a film with unit vectors of film and report, findings, and who is normal."""

import json

import numpy as np
import pytest

from sista import tables
from sista.adaptation.retrieval import RetrievalTask, _findings
from sista.engine.restored import restore
from sista.tasks._arrays import unpack
from tests.adapted import adapted


def test_a_row_holds_the_unit_vectors_of_film_and_report(discs, checkpoint, tmp_path):
    frame, meta, made = adapted(discs, checkpoint, tmp_path / "p.parquet", "retrieval")
    manifest = tables.read(discs, "manifest")[0].set_index("image_id")
    run = restore(checkpoint)
    assert set(frame["subset"]) == {"val", "test"}
    assert frame["image_id"].is_unique
    assert meta["labels"] == []
    assert made["resolved"] == {"0": {"head": {"retrieval": {}}}}
    for row in frame.to_dict("records"):
        film, report = unpack(row["film"]), unpack(row["report"])
        assert film.shape == report.shape
        assert [np.linalg.norm(film), np.linalg.norm(report)] == pytest.approx([1, 1], abs=1e-6)
        # A text has one vector, whatever stands beside it.
        alone = run.embed_texts([manifest.loc[row["image_id"], "report"]])[0].numpy()
        np.testing.assert_allclose(report, alone, atol=1e-5)
        there = manifest.loc[row["image_id"], ["label.disc", "label.large"]].tolist()
        assert json.loads(row["findings"]) == there
        assert row["normal"] == float(not any(there))
        assert row["study_id"] == row["image_id"]


def test_blank_labels_are_absent_where_any_is_known(discs):
    frame, meta = tables.read(discs, "manifest")
    frame = frame.head(3).assign(
        **{"label.disc": [1.0, np.nan, np.nan], "label.large": [np.nan, np.nan, -1.0]}
    )
    task = RetrievalTask(frame, meta, 64, 1.0, {})
    task.manifest = discs
    expected = [[1.0, 0.0], [np.nan, np.nan], [0.0, -1.0]]
    np.testing.assert_array_equal(_findings(task.pairs(range(3), 73)), expected)
