"""The real rules in folders whose names hold blanks, quotes, umlauts and what a shell would run."""

import shutil
import sys

import pytest

from sista.errors import UserError
from tests.conftest import ROOT, Project
from tests.raw_trees import TREES
from workflow.planning import check_paths

ODD = "ä b 'c' \"d\" ; & $e"
RUNS = "$(touch ran) `touch ran` & touch ran &"
GRID = """
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants: [clip]
draws: [0]
fractions: [100]
adapt:
  - {protocol: quick_v1, dataset: mimic_cxr@phantom_tiny, task: classification}
"""


def stubbed(folder):
    folder.mkdir()
    project = Project(folder)
    shutil.copy(ROOT / "tests" / "stub_stages.py", folder / "sista" / "__main__.py")
    return project


@pytest.mark.parametrize("name", [ODD, RUNS])
def test_a_clone_and_its_grids_may_lie_in_any_folder(tmp_path, name):
    project = stubbed(tmp_path / name)
    (project.folder / name).mkdir()
    (project.folder / name / "stub.yaml").write_text(GRID)
    project.snakemake(f"{name}/stub.yaml")
    for made in ("score/stub.parquet", "report/stub/index.html", "score/stub.log"):
        assert (project.folder / "results" / made).is_file()
    assert "Nothing to be done" in project.snakemake(f"{name}/stub.yaml")
    assert not list(tmp_path.rglob("ran"))


def test_braces_in_the_path_of_a_grid_are_refused(tmp_path):
    project = stubbed(tmp_path / "clone")
    (project.folder / "{a}").mkdir()
    (project.folder / "{a}" / "stub.yaml").write_text(GRID)
    command = ("snakemake", "--cores", "1", "--config", "grid={a}/stub.yaml")
    assert "takes braces for wildcards" in project.run(*command, check=False)


def test_raw_data_may_lie_in_any_folder(tmp_path):
    (tmp_path / "clone ü").mkdir()
    project = Project(tmp_path / "clone ü")
    (project.folder / "grid.yaml").write_text(GRID)
    data = tmp_path / ODD
    TREES["siim_acr"](data / "siim_acr")
    target = "results/prepare/siim_acr/manifest.parquet"
    project.snakemake("grid.yaml", "--", target, SISTA_DATA=str(data))
    assert (project.folder / target).is_file()


def test_a_grid_of_a_name_that_is_a_command_is_refused_and_runs_nothing(tmp_path):
    project = stubbed(tmp_path / "clone")
    (project.folder / "$(touch ran).yaml").write_text(GRID)
    (project.folder / "a.yaml").write_text(
        GRID.replace("[clip]", '{"$(touch ran)": {method: clip}}')
    )
    for grid in ("$(touch ran).yaml", "a.yaml"):
        command = ("snakemake", "--cores", "1", "--config", f"grid={grid}")
        assert "is no word" in project.run(*command, check=False)
    assert not list(tmp_path.rglob("ran"))


def test_a_result_of_a_name_that_is_a_command_is_no_target(tmp_path):
    project = stubbed(tmp_path / "clone")
    (project.folder / "grid.yaml").write_text(GRID)
    target = "results/fetch/$(touch ran)/inventory.parquet"
    command = ("snakemake", "--cores", "1", "--config", "grid=grid.yaml", "--", target)
    assert "MissingRuleException" in project.run(*command, check=False)
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.parametrize("name", ["it's", 'a"b', "a$b", "a`b", "a\\b"])
def test_folders_that_a_cluster_would_read_otherwise_are_refused(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(UserError, match="to the jobs of a cluster; move it"):
        check_paths("grid.yaml")


def test_a_python_with_a_blank_in_its_path_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", "/home/my name/.venv/bin/python")
    with pytest.raises(UserError, match="such a path of Python"):
        check_paths("grid.yaml")


def test_blanks_are_refused_in_the_path_of_a_grid_alone(tmp_path, monkeypatch):
    (tmp_path / "Müller 1").mkdir()
    monkeypatch.chdir(tmp_path / "Müller 1")
    check_paths("grid.yaml")
    monkeypatch.setattr(sys, "executable", "/home/müller/.venv/bin/python")
    check_paths("grid.yaml")
    with pytest.raises(UserError, match=r"my grids/grid\.yaml: Snakemake cannot hand"):
        check_paths("my grids/grid.yaml")
