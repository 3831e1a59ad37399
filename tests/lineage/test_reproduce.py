"""One row again: the grid of it, when bits must agree, and the whole thing on the smoke grid."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError
from sista.grid import plan
from sista.grid.grid import Grid
from sista.lineage.address import find
from sista.lineage.reproduce import (
    _compare,
    copy_project,
    environment,
    one_row,
    same_code,
    same_kind,
    weights,
)
from sista.runs import provenance

HOST = {"machine": "x86_64", "system": "Linux", "cpu": "made up", "python": "3.11.7"}


@pytest.fixture
def found(tree):
    scores = tree.results / "score" / "suite.parquet"
    return find(scores, "clip/resnet_tiny", "chexpert@phantom/10")


def test_the_grid_of_one_row_has_its_runs_and_no_others(tree, found):
    one = one_row(Grid.load(tree.root / "suite.yaml"), found)
    grid = Grid.model_validate(one)
    (run,) = grid.adapt_runs()
    assert run.predictions == found.rows["predictions"].iloc[0]
    assert (run.fractions, run.draws) == ((10,), (0, 1))


def test_other_settings_of_the_variant_are_refused(tree, found):
    text = (tree.root / "suite.yaml").read_text()
    changed = text.replace("[random_init, clip]", "{random_init: {}, clip: {temperature: 0.3}}")
    (tree.root / "suite.yaml").write_text(changed)
    with pytest.raises(UserError, match="other settings than the scores were made with"):
        one_row(Grid.load(tree.root / "suite.yaml"), found)


def test_bits_must_agree_on_the_same_kind_of_machine_only(found):
    row = found.rows.iloc[0].to_dict()
    found.rows["code_version"] = provenance.code_version()
    found.meta["hosts"] = [HOST]
    assert same_kind(found, {"hosts": [HOST | {"cores": 8}]}, row)[0]
    assert not same_kind(found, {"hosts": [HOST | {"cpu": "other"}]}, row)[0]
    assert not same_kind(found, {"hosts": [HOST]}, row | {"lock_hash": "other"})[0]
    found.rows["code_version"] = "0123456789ab"
    assert "other code (0123456789ab)" in same_kind(found, {"hosts": [HOST]}, row)[1]
    assert not same_kind(found, {"hosts": [HOST]}, row)[0]
    # A cell of several seeds, whose last one alone is of other code.
    codes = [provenance.code_version()] * (len(found.rows) - 1) + ["0123456789ab"]
    assert len(codes) > 1
    found.rows["code_version"] = codes
    assert "other code (0123456789ab)" in same_kind(found, {"hosts": [HOST]}, row)[1]
    found.meta["hosts"] = []
    assert not same_kind(found, {"hosts": [HOST]}, row)[0]


def test_a_later_commit_is_the_same_code_where_no_file_of_the_jobs_differs(
    found, tmp_path, monkeypatch
):
    root = tmp_path / "clone"
    row = found.rows.iloc[0].to_dict()
    used = root / "sista" / "stages" / "adapt.py"
    unused = root / "sista" / "monitor" / "watch.py"
    assert "sista/stages/adapt.py" in plan.code("adapt", heads="linear", protocols="quick_v1")

    def git(*command: str) -> str:
        told = subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)
        return told.stdout.decode().strip()

    def commit() -> str:
        git("add", "--all")
        git("-c", "user.name=Test", "-c", "user.email=t@example.org", "commit", "-m", "one")
        return git("rev-parse", "--short=12", "HEAD")

    for file in (used, unused):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a = 1\n")
    git("init", "--quiet", ".")
    row["code_version"] = commit()
    unused.write_text("a = 2\n")
    commit()
    monkeypatch.setattr(provenance, "ROOT", root)
    assert same_code(row)
    used.write_text("a = 2\n")
    assert not same_code(row)
    commit()
    assert not same_code(row)
    assert not same_code(row | {"code_version": "0123456789ab"})
    assert same_code(row | {"code_version": provenance.code_version()})


@pytest.fixture
def imported(tree):
    """Return the grid of a row that starts from imported weights."""
    one = {"title": "One", "budget": "quick", "corpus": "mimic_cxr@phantom", "seeds": [0]}
    entry = {"protocol": "quick_v1", "dataset": "chexpert@phantom", "head": "linear"}
    settings = {"method": "released", "weights": "weights/mgca_{encoder}.safetensors"}
    return one | {"encoders": ["vit_tiny"], "variants": {"mgca": settings}, "adapt": [entry]}


def test_the_weights_that_a_row_reads_are_found_from_its_new_folder(imported, tmp_path):
    file = Path("weights/mgca_vit_tiny.safetensors")
    file.parent.mkdir()
    file.write_bytes(b"learned")
    assert weights(imported) == [file]
    new = tmp_path / "new"
    copy_project(new, weights(imported))
    assert (new / file).read_bytes() == b"learned"
    assert (new / "sista" / "__main__.py").is_file()
    with pytest.raises(UserError, match="is not empty"):
        copy_project(new)
    full = {"mgca": {"method": "released", "weights": str(file.absolute())}}
    copy_project(tmp_path / "other", weights(imported | {"variants": full}))
    assert not (tmp_path / "other" / "weights").exists()
    assert weights(imported | {"variants": {"clip": {}}}) == []


def test_weights_that_are_not_here_or_outside_are_told_before_anything_runs(imported):
    with pytest.raises(UserError, match=r"mgca: its weights weights/mgca_vit_tiny\.s.* not here"):
        weights(imported)
    Path("mgca.safetensors").write_bytes(b"learned")
    beside = {"mgca": {"method": "released", "weights": f"../{Path.cwd().name}/mgca.safetensors"}}
    with pytest.raises(UserError, match=r"without `\.\.`"):
        weights(imported | {"variants": beside})


def test_the_raw_data_are_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SISTA_DATA", "raw")
    assert environment()["SISTA_DATA"] == str(tmp_path / "raw")
    monkeypatch.delenv("SISTA_DATA")
    assert "SISTA_DATA" not in environment()


def test_a_value_outside_the_tolerance_is_named(found, capsys):
    again = pd.DataFrame(found.rows)
    assert _compare(found, again, 0.0) == []
    again = again.assign(value=again["value"] + [0.0, 1e-12])
    assert len(_compare(found, again, 0.0)) == 1
    assert _compare(found, again, None) == []
    assert len(_compare(found, again.iloc[:1], None)) == 1
    assert capsys.readouterr().out.count("NOT") == 2


@pytest.mark.slow
def test_a_row_of_the_smoke_grid_comes_out_bit_equal(project):
    project.snakemake("benchmarks/smoke.yaml")
    row = ("--row", "sista/resnet_tiny", "--column", "chexpert@phantom_tiny/10")
    command = ("python", "-m", "sista", "reproduce", "results/score/smoke.parquet", *row)
    told = project.run(*command)
    assert "bit-equal" in told
    assert "ok  draw 0, seed 0" in told
    table, meta = tables.read(project.folder / "results/score/smoke.parquet", "scores")
    tables.write(
        table.assign(value=table["value"] + 1e-9), project.folder / "other.parquet", "scores", meta
    )
    wrong = ("python", "-m", "sista", "reproduce", "other.parquet", *row)
    assert "NOT draw 0" in project.run(*wrong, check=False)
