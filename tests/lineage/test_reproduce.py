"""One row again: the grid of it, when bits must agree, and the whole thing on the smoke grid."""

import pandas as pd
import pytest

from sista import tables
from sista.files import UserError
from sista.grid import Grid
from sista.lineage.address import find
from sista.lineage.reproduce import _compare, one_row, same_kind

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
    found.meta["hosts"] = [HOST]
    assert same_kind(found, {"hosts": [HOST | {"cores": 8}]}, row)[0]
    assert not same_kind(found, {"hosts": [HOST | {"cpu": "other"}]}, row)[0]
    assert not same_kind(found, {"hosts": [HOST]}, row | {"lock_hash": "other"})[0]
    found.meta["hosts"] = []
    assert not same_kind(found, {"hosts": [HOST]}, row)[0]


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
