"""The examples of the documentation: short, and what they promise."""

import json

import matplotlib as mpl
import pytest

from benchmarks.examples import audit_split, compare_methods, score_encoder
from tests import blobs
from tests.conftest import ROOT

FOLDER = ROOT / "benchmarks" / "examples"


def test_each_has_less_than_30_lines():
    lengths = {path.name: len(path.read_text().splitlines()) for path in FOLDER.glob("*.py")}
    assert len(lengths) == 3
    assert max(lengths.values()) < 30, lengths


def test_the_audit_finds_patient_and_copy():
    first, second = audit_split.main()
    assert "patients both in train and val: patient2" in first
    assert "equal pixels both in train and test: film0, film7" in second


def test_the_better_of_two_methods_is_told():
    difference, low, high, p = compare_methods.main()
    assert 0 < low < difference < high < 0.2
    assert p < 0.05


def test_an_encoder_is_scored(tmp_path):
    assert 0.2 < score_encoder.main(tmp_path) < 0.9
    assert (tmp_path / "predictions.parquet").is_file()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blobs")
    manifest = blobs.told(blobs.blobs(folder))
    return manifest, blobs.taught(manifest, folder / "encoder.safetensors")


def test_the_notebook_draws_a_map_for_each_film(encoder, monkeypatch):
    manifest, checkpoint = encoder
    monkeypatch.setenv("ENCODER", str(checkpoint))
    monkeypatch.setenv("MANIFEST", str(manifest))
    mpl.use("agg")
    cells = json.loads((FOLDER / "heat_map.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    statements = [line for line in code[-1].splitlines() if not line.startswith(" ")]
    assert len(statements) <= 10
    names: dict[str, object] = {}
    for source in code:
        exec(source, names)  # noqa: S102
    # Film and map on each of four axes.
    assert [len(axis.images) for axis in names["axes"]] == [2, 2, 2, 2]
    assert names["maps"].max() > 0
