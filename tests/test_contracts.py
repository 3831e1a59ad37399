"""Contracts on reading: types, values, versions and counts; what verify and score leave."""

import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from sista import tables
from sista.encoders.checkpoint import load_image_encoder
from sista.errors import UserError
from sista.lineage.verify import verify
from sista.runs import provenance
from sista.runs.record import read_record
from sista.scoring.cached import remove_leftovers, score_file
from tests import made_up_predictions as made
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    run = made.runs(tasks=("classification",), variants=("clip",))[0]
    return made.write(tmp_path_factory.mktemp("made"), run)


def rewritten(source: Path, path: Path, change=lambda frame: frame, **keys: bytes) -> Path:
    """Write a table again with other rows or metadata, without any check."""
    table = pyarrow.parquet.read_table(source)
    metadata = {
        **table.schema.metadata,
        **{k.replace("_", ".").encode(): v for k, v in keys.items()},
    }
    changed = pyarrow.Table.from_pandas(change(table.to_pandas()), preserve_index=False)
    pyarrow.parquet.write_table(changed.replace_schema_metadata(metadata), path)
    return path


KIND = "predictions_classification"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.assign(target=2.0), "'target'"),
        (lambda f: f.assign(score=1.5), "'score'"),
        (lambda f: f.assign(score=-0.1), "'score'"),
        (lambda f: f.assign(score=float("nan")), "'score'"),
        (lambda f: f.assign(draw=0.5), "'draw' holds double in place of int64"),
        (lambda f: f.assign(image_id=5), "'image_id' holds int64 in place of object"),
        (lambda f: f.assign(score="0.5"), "'score'"),
        (lambda f: f.drop(columns="score"), "'score' is missing"),
        (lambda f: f.assign(subset="train"), "'subset'"),
        (lambda f: f.assign(score=[[1.0]] * len(f)), "'score'"),
    ],
)
def test_predictions_of_wrong_values_or_types_are_refused(predictions, tmp_path, change, told):
    path = rewritten(predictions, tmp_path / "p.parquet", change)
    with pytest.raises(UserError, match=rf"p\.parquet: .*{told}"):
        tables.read(path, KIND)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: pd.concat([f, f.tail(1)]), "two rows of .* and "),
        (lambda f: f.head(len(f) - 1), "label"),
        (lambda f: f.assign(patient_id=[str(n) for n in range(len(f))]), "two patients"),
        (lambda f: f[f["label"] != "Edema"], "label 'Edema': 0 rows"),
    ],
)
def test_predictions_that_lack_or_double_rows_are_not_scored(predictions, tmp_path, change, told):
    path = rewritten(predictions, tmp_path / "p.parquet", change)
    with pytest.raises(UserError, match=rf"p\.parquet: .*{told}"):
        score_file(path, "classification", main="auroc", bootstrap=2, cache_folder=tmp_path / "c")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"sista": b"{"}, "metadata are no JSON"),
        ({"sista": b"[1]"}, "no JSON object"),
        ({"sista": b"[" * 100000}, "no JSON"),
        ({"sista": b'{"labels": 5}'}, "metadata, labels"),
        ({"sista": b'{"multiclass": "no"}'}, "metadata, multiclass"),
        ({"sista": b'{"run": []}'}, "metadata, run"),
        ({"sista_contract": b'{"version": 2}'}, "made by a newer version.*update"),
        ({"sista_contract": b'{"version": "x"}'}, "version"),
        ({"sista_contract": b'{"version": 1, "kind": "split"}'}, "is a table of split"),
    ],
)
def test_metadata_of_tables_have_types_and_a_version(predictions, tmp_path, keys, told):
    path = rewritten(predictions, tmp_path / "p.parquet", **keys)
    with pytest.raises(UserError, match=rf"p\.parquet: .*{told}"):
        tables.read(path, KIND)


def test_a_key_that_metadata_lack_is_named_with_the_file(predictions):
    _, meta = tables.read(predictions, KIND)
    with pytest.raises(UserError, match=r"predictions\.parquet: its metadata lack 'zoom'"):
        meta["zoom"]


def test_an_empty_manifest_is_no_manifest(tmp_path):
    path = tmp_path / "m.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image_id": pyarrow.array([], "string")}), path)
    with pytest.raises(UserError, match=r"m\.parquet: has no rows"):
        tables.read(path, "manifest")


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_mutated_table_is_read_or_refused(predictions, tmp_path_factory, data):
    content = bytearray(predictions.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "mutated.parquet"
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        tables.read(path, KIND)
    except UserError as error:
        assert "mutated.parquet" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ('{"version": 2}', "newer version"),
        ('{"version": 1}', "lack 'image_encoder'"),
        ('{"image_encoder": {"word": "x"}}', "its image encoder cannot be built"),
        ('{"image_encoder": 5}', "metadata, image_encoder"),
        ('{"seed": -1}', "metadata, seed"),
    ],
)
def test_metadata_of_checkpoints_have_types_and_a_version(tmp_path, text, told):
    path = tmp_path / "e.safetensors"
    save_file({}, path, metadata={"sista": text})
    with pytest.raises(UserError, match=rf"e\.safetensors: .*{told}"):
        load_image_encoder(path)


def test_a_record_of_a_newer_version_says_so(tmp_path):
    path = tmp_path / "run.json"
    path.write_text('{"version": 2}')
    with pytest.raises(UserError, match="made by a newer version"):
        read_record(path)


# Results


def test_verify_of_nothing_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        verify(results=tmp_path / "absent")
    with pytest.raises(UserError, match="holds no record"):
        verify(results=tmp_path)


def test_what_a_killed_score_left_is_removed_unless_another_one_writes(tmp_path):
    import fcntl

    left = tmp_path / ".abc.0123abcd.tmp.npz"
    left.touch()
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    remove_leftovers(tmp_path)
    assert left.exists()
    os.close(handle)
    remove_leftovers(tmp_path)
    assert not left.exists()


def test_a_copy_inside_another_repository_does_not_take_its_commit(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "copy/sista").mkdir(parents=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    commit = ["git", "-C", str(tmp_path), *author, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, check=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "copy")
    assert provenance.code_version.__wrapped__().startswith("unknown+")


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
@settings(max_examples=100, deadline=None)
def test_any_json_is_a_record_or_refused(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "run.json"
    stream = io.StringIO()
    json.dump(value, stream)
    path.write_text(stream.getvalue())
    with pytest.raises(UserError, match=r"run\.json"):
        read_record(path)


def test_released_tables_can_still_be_read():
    for path in sorted((ROOT / "results/released").glob("*/scores.parquet"))[:3]:
        frame, meta = tables.read(path, "scores")
        assert len(frame)
        assert np.isfinite(frame["value"].dropna()).all()
        assert meta["main_metrics"]
