"""DVC: three stages whose commands are Snakemake, and nothing to do the second time."""

import shutil

from tests.conftest import ROOT
from tests.test_workflow import GRID


def test_repro_runs_the_stages_once(project):
    shutil.copy(ROOT / "tests" / "stub_stages.py", project.folder / "sista" / "__main__.py")
    (project.folder / "stub.yaml").write_text(GRID)
    stages = project.folder / "dvc.yaml"
    stages.write_text(stages.read_text().replace("benchmarks/phantom.yaml", "stub.yaml"))
    project.run("git", "init", "--quiet", ".")
    first = project.run("dvc", "repro")
    assert (project.folder / "results" / "score" / "stub.parquet").is_file()
    assert "prepare" in first
    assert "Data and pipelines are up to date." in project.run("dvc", "repro")
    assert "Job stats" not in project.snakemake("stub.yaml", "--", "score_all")
