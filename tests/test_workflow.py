"""The graph: what is run again after which change, on stub stages (see stub_stages.py)."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from sista import registry
from sista.grid import plan
from sista.grid.grid import Grid
from sista.monitor.survey import survey
from tests.conftest import BIN, ROOT, Project

GRID = """
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants: [clip, sista]
draws: [0]
fractions: [10, 100]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}
  - {protocol: quick_v1, dataset: rsna_pneumonia@phantom_tiny, task: segmentation}
"""


# The questions that Snakemake asks of conda before it makes an environment.
CONDA = """#!/bin/sh
case "$1" in
  info) echo '{"conda_prefix": "/nowhere", "platform": "linux-64", "conda_version": "24.7.1"}' ;;
  config) echo '{"get": {"channel_priority": "strict"}, "success": true}' ;;
  *) echo "conda 24.7.1" ;;
esac
"""


def jobs(printed: str) -> list[str]:
    """Return the messages of the jobs in Snakemake's output, without `rule all`."""
    pattern = rf"^Job \d+: ((?:{'|'.join(plan.STAGES)}) .*)$"
    return sorted(set(re.findall(pattern, printed, re.M)))


def stages(printed: str) -> list[str]:
    """Return the stages of these jobs."""
    return [job.split()[0] for job in jobs(printed)]


@pytest.fixture(scope="module")
def done(project: Project) -> Project:
    """Return a copy of the project in which the stub grid has been run."""
    shutil.copy(ROOT / "tests" / "stub_stages.py", project.folder / "sista" / "__main__.py")
    (project.folder / "stub.yaml").write_text(GRID)
    project.snakemake("stub.yaml")
    return project


def test_the_stubs_write_the_tables_of_every_task(done):
    """Of any grid: `make bench` runs the phantom's with them."""
    out = done.folder / "every"
    command = [sys.executable, "-m", "sista", "report", "--out", str(out)]
    subprocess.run(command, cwd=done.folder, check=True)
    assert {path.stem for path in out.iterdir()} == {"index", *registry.names("tasks")}


def edited(file: Path) -> str:
    """Add a comment to a file and return the text before."""
    before = file.read_text()
    file.write_text(before + "# edited\n")
    return before


def test_a_second_run_has_nothing_to_do_even_after_a_touch(done):
    for file in (done.folder / "sista").rglob("*.py"):
        os.utime(file)
    os.utime(done.folder / "stub.yaml")
    assert "Nothing to be done" in done.snakemake("stub.yaml")


def test_conda_plans_nothing_again(done):
    folder = done.folder / "conda"
    folder.mkdir()
    (folder / "conda").write_text(CONDA)
    (folder / "conda").chmod(0o755)
    path = os.pathsep.join([str(folder), str(BIN), os.environ["PATH"]])
    triggers = ("--rerun-triggers", "mtime", "params", "input", "code")
    assert "Nothing to be done" in done.snakemake(
        "stub.yaml", "-n", "--use-conda", *triggers, PATH=path
    )


def test_editing_a_loss_plans_only_the_variants_that_use_it(done):
    file = done.folder / "sista" / "losses" / "sia.py"
    before = edited(file)
    printed = done.snakemake("stub.yaml", "-n")
    file.write_text(before)
    assert [job for job in jobs(printed) if "clip" in job] == []
    assert stages(printed) == ["adapt", "adapt", "pretrain", "report", "score"]


def test_editing_a_head_plans_only_its_adapt_jobs(done):
    file = done.folder / "sista" / "heads" / "unet.py"
    before = edited(file)
    printed = done.snakemake("stub.yaml", "-n")
    file.write_text(before)
    assert stages(printed) == ["adapt", "adapt", "report", "score"]
    assert all("unet" in job for job in jobs(printed) if job.startswith("adapt"))


def test_deleting_one_prediction_remakes_its_job_and_the_tables(done):
    file = sorted((done.folder / "results" / "adapt").rglob("predictions.parquet"))[0]
    before = file.read_bytes()
    file.unlink()
    assert stages(done.snakemake("stub.yaml")) == ["adapt", "report", "score"]
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("pattern", "made"),
    [
        ("pretrain/**/clip/**/encoder.safetensors", "pretrain"),
        ("prepare/chexpert@phantom_tiny/manifest.images.npy", "prepare"),
        ("prepare/mimic_cxr@phantom_tiny/manifest.vocabulary.json", "prepare"),
        ("prepare/mimic_cxr@phantom_tiny/manifest.parquet", "prepare"),
        ("fetch/chexpert@phantom_tiny/inventory.parquet", "fetch"),
    ],
)
def test_a_deleted_result_is_made_again_though_only_finished_jobs_read_it(done, pattern, made):
    (file,) = (done.folder / "results").glob(pattern)
    before = file.read_bytes()
    file.unlink()
    assert made in stages(done.snakemake("stub.yaml"))
    assert file.read_bytes() == before
    assert "Nothing to be done" in done.snakemake("stub.yaml")


def test_a_damaged_record_does_not_stop_a_plan(done):
    record = sorted((done.folder / "results" / "adapt").rglob("run.json"))[0]
    before = record.read_bytes()
    record.write_bytes(b"\xff" + before)
    assert "Nothing to be done" in done.snakemake("stub.yaml")
    record.write_bytes(before)


def test_a_changed_base_scores_again_and_runs_what_it_adds(done):
    (done.folder / "small.yaml").write_text("base: stub.yaml\nvariants: [clip]\n")
    assert stages(done.snakemake("small.yaml")) == ["report", "score"]
    assert "Nothing to be done" in done.snakemake("small.yaml")
    base = done.folder / "stub.yaml"
    before = base.read_text()
    base.write_text(before.replace("draws: [0]", "draws: [0, 1]"))
    printed = done.snakemake("small.yaml", "-n")
    base.write_text(before)
    assert stages(printed) == ["adapt", "adapt", "report", "score"]
    base.write_text(before + "title: Another\n")
    printed = done.snakemake("small.yaml", "-n")
    base.write_text(before)
    assert stages(printed) == ["report", "score"]


@pytest.mark.parametrize(
    "file", sorted((ROOT / "workflow" / "rules").glob("*.smk")), ids=lambda f: f.stem
)
def test_every_rule_with_a_command_has_a_log_an_environment_memory_and_time(file):
    rules = re.split(r"^rule (\w+):\n", file.read_text(), flags=re.M)[1:]
    texts = dict(zip(rules[::2], rules[1::2], strict=True))
    commands = {name: text for name, text in texts.items() if "    shell:" in text}
    assert commands
    for name, text in commands.items():
        parts = re.findall(r"^    (\w+):", text, re.M)
        assert {"log", "conda", "resources"} <= set(parts), name
        resources = re.split(r"^    \w+:.*\n", text, flags=re.M)[1 + parts.index("resources")]
        assert "mem_mb=" in resources, name
        assert "runtime=" in resources, name


@pytest.mark.parametrize("name", ["stub.parquet", "stub.metrics.json", "stub.plots.csv"])
def test_deleting_scores_remakes_them(done, name):
    file = done.folder / "results" / "score" / name
    away = file.rename(file.with_suffix(".away"))
    printed = done.snakemake("stub.yaml", "-n")
    away.rename(file)
    assert stages(printed) == ["report", "score"]


def test_grids_share_their_runs_and_a_larger_one_keeps_what_there_is(done):
    values = yaml.safe_load(GRID)
    (done.folder / "fewer.yaml").write_text(yaml.safe_dump({**values, "fractions": [10]}))
    assert jobs(done.snakemake("fewer.yaml", "-n")) == ["report fewer", "score fewer"]
    (done.folder / "more.yaml").write_text(yaml.safe_dump({**values, "fractions": [1, 10]}))
    assert stages(done.snakemake("more.yaml")) == ["adapt"] * 4 + ["report", "score"]
    made = next((done.folder / "results" / "adapt").rglob("predictions.parquet")).read_text()
    assert '"--fractions", "1", "10", "100"' in made
    assert stages(done.snakemake("stub.yaml", "-n")) == ["report", "score"]


def test_a_changed_setting_plans_its_variant_alone(done):
    values = yaml.safe_load(GRID)
    values["variants"] = {"clip": {}, "sista": {"w_sta": 0.5}}
    (done.folder / "setting.yaml").write_text(yaml.safe_dump(values))
    printed = done.snakemake("setting.yaml", "-n")
    assert [job for job in jobs(printed) if job.startswith("pretrain")] == [
        "pretrain sista resnet_tiny on mimic_cxr@phantom_tiny, tiny, seed 0"
    ]


def test_each_job_has_its_log_where_status_looks_for_it(done, monkeypatch):
    monkeypatch.chdir(done.folder)
    found = survey(Grid.load("stub.yaml"), "stub")
    counts = {"fetch": 3, "prepare": 3, "pretrain": 2, "adapt": 4, "score": 1, "report": 1}
    assert Counter(job.stage for job in found) == counts
    assert [job.path for job in found if not job.log.is_file()] == []


def test_a_failing_job_names_its_log(done):
    file = done.folder / "results" / "score" / "stub.parquet"
    file.unlink()
    stub = done.folder / "sista" / "__main__.py"
    before = stub.read_text()
    stub.write_text("raise SystemExit('no room left')")
    out = done.run("snakemake", "--cores", "1", "--config", "grid=stub.yaml", check=False)
    stub.write_text(before)
    assert "no room left" in out
    assert "results/score/stub.log" in out
    assert not file.exists()


def test_a_wrong_word_fails_before_any_job(done):
    values = yaml.safe_load(GRID)
    (done.folder / "wrong.yaml").write_text(yaml.safe_dump({**values, "encoders": ["resnet"]}))
    out = done.run("snakemake", "-n", "--config", "grid=wrong.yaml", check=False)
    assert "wrong.yaml: unknown encoder 'resnet'; valid: " in out
    assert "resnet_tiny" in out
    assert "Job stats" not in out


def test_what_is_missing_is_told_before_any_job(done):
    values = yaml.safe_load(GRID) | {"corpus": "mimic_cxr"}
    values["variants"] = {"clip": {}, "mine": {"method": "released", "weights": "no/{encoder}.pt"}}
    (done.folder / "lacks.yaml").write_text(yaml.safe_dump(values))
    words = ("snakemake", "--cores", "1", "--config", "grid=lacks.yaml")
    printed = done.run(*words, check=False, SISTA_DATA="")
    assert "no job was started" in printed
    assert "mimic_cxr: SISTA_DATA is not set" in printed
    assert "variant mine: no/resnet_tiny.pt: no such file of weights" in printed
    assert not (done.folder / "results" / "fetch" / "mimic_cxr").exists()
    # The plan needs none of it, nor does what is made already.
    planned = done.run("snakemake", "-n", "--config", "grid=lacks.yaml", SISTA_DATA="")
    assert "fetch mimic_cxr" in jobs(planned)


def test_an_unknown_word_of_config_plans_nothing(done):
    printed = done.run("snakemake", "-n", "--config", "grd=benchmarks/smoke.yaml", check=False)
    assert "--config grd: unknown; valid: grid=FILE" in printed
    assert "rule pretrain" not in printed


@pytest.mark.parametrize("grid", ["paper", "methods"])
def test_the_largest_grids_plan_without_torch_and_without_data(project, grid):
    (project.folder / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None\n")
    outside = {"SISTA_DATA": "/nonexistent", "PYTHONPATH": str(project.folder)}
    printed = project.snakemake(f"benchmarks/{grid}.yaml", "-n", **outside)
    assert "This was a dry-run" in printed
    assert stages(printed).count("report") == 1
