"""Which code a job runs, and which label subsets it covers."""

import json
from pathlib import Path

import pytest

from sista import registry
from sista.grid import plan
from sista.grid.grid import Grid

ROOT = Path(__file__).resolve().parents[2]


def words_in(files: tuple[str, ...], kind: str) -> set[str]:
    names = set(registry.names(kind))
    return {Path(f).stem for f in files if f.startswith(f"sista/{kind}/")} & names


def test_a_stage_itself_holds_no_component():
    for stage in ("fetch", "prepare", "pretrain", "adapt", "score", "report"):
        for kind in registry.KINDS:
            assert words_in(plan.code(stage), kind) == set(), f"{stage} imports {kind}"


def test_a_job_depends_on_its_own_words_alone():
    files = plan.code("adapt", heads="unet", protocols="quick_v1")
    assert words_in(files, "heads") == {"unet"}
    assert words_in(files, "protocols") == {"quick_v1"}
    assert words_in(files, "methods") == words_in(files, "datasets") == set()
    assert "sista/stages/adapt.py" in files
    assert "sista/adaptation/segmentation.py" in files
    assert "sista/adaptation/detection.py" not in files


def test_only_the_phantom_depends_on_its_generator():
    real = plan.code("fetch", datasets="rsna_pneumonia")
    made = plan.code("fetch", datasets="rsna_pneumonia@phantom")
    assert not [file for file in real if file.startswith("sista/phantom/")]
    assert "sista/phantom/layouts/rsna_pneumonia.py" in made
    assert "sista/phantom/layouts/chexpert.py" not in made
    assert plan.code("prepare", datasets="rsna_pneumonia") == plan.code(
        "prepare", datasets="rsna_pneumonia@phantom"
    )


@pytest.mark.parametrize("stage", ["fetch", "prepare", "score", "report"])
def test_stages_without_a_gpu_never_import_torch(stage):
    words = {"datasets": "rsna_pneumonia@phantom"} if stage in ("fetch", "prepare") else {}
    for file in plan.code(stage, **words):
        lines = (ROOT / file).read_text().splitlines()
        heavy = ("torch", "mmdet", "mmseg", "mmengine", "mmcv", "timm", "transformers")
        found = [
            line
            for line in lines
            if line.split()[:1] in (["import"], ["from"]) and line.split()[1].split(".")[0] in heavy
        ]
        assert found == [], f"{file}: {found}"


def test_a_job_covers_what_is_asked_and_what_it_has(tmp_path):
    grid = Grid.load(ROOT / "benchmarks" / "smoke.yaml")
    assert plan.subsets(str(tmp_path), grid, "linear") == {"draws": [0], "fractions": [10]}
    (tmp_path / "run.json").write_text(json.dumps({"run": {"draws": [4, 0], "fractions": [1]}}))
    assert plan.subsets(str(tmp_path), grid, "linear") == {"draws": [0, 4], "fractions": [1, 10]}
    for damaged in (b"{half", b"\xff", b"[]"):
        (tmp_path / "run.json").write_bytes(damaged)
        assert plan.subsets(str(tmp_path), grid, "linear") == {"draws": [0], "fractions": [10]}


def test_a_head_without_training_has_one_cell(tmp_path):
    grid = Grid.load(ROOT / "benchmarks" / "phantom.yaml")
    assert plan.subsets(str(tmp_path), grid, "zero_shot") == {"draws": [0], "fractions": [0]}
    cells = {(run.head, run.draws, run.fractions) for run in grid.adapt_runs()}
    assert ("retrieval", (0,), (0,)) in cells
    assert ("finetune", tuple(grid.draws), (1, 10, 100)) in cells


def test_options_reach_a_command_as_they_are():
    given = {"method": "my way", "settings": '{"a": "it\'s $HOME"}', "draws": [0, 1], "threads": 2}
    words = plan.options(**given)
    expected = ["--method", "my way", "--settings", '{"a": "it\'s $HOME"}']
    assert words == [*expected, "--draws", "0", "1", "--threads", "2"]


def test_what_is_missing_is_asked_for_where_the_next_stage_has_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    targets = {
        "fetch": ["inventory"],
        "prepare": ["d/manifest.parquet"],
        "pretrain": ["e", "f"],
        "adapt": ["a", "b"],
        "score": ["scores"],
    }
    prepared = [f"d/{name}" for name in plan.PREPARED]
    assert plan.deleted(targets) == []
    Path("a").touch()
    assert plan.deleted(targets) == ["e", "f"]
    Path("e").touch()
    Path("scores").touch()
    assert plan.deleted(targets) == [*prepared, "f", "b"]
    Path("d").mkdir()
    Path("d/manifest.images.npy").touch()
    Path("d/manifest.parquet").touch()
    assert plan.deleted(targets) == ["inventory", prepared[1], *prepared[3:], "f", "b"]


def test_small_phantoms_are_made_by_one_process_each():
    words = ("mimic_cxr", "mimic_cxr@phantom", "object_cxr@phantom", "mimic_cxr@phantom_tiny")
    assert [plan.workers(word) for word in words] == [8, 8, 5, 1]


def test_targets_follow_the_flow():
    targets = plan.targets(Grid.load(ROOT / "benchmarks" / "smoke.yaml"), "smoke")
    assert tuple(targets) == plan.STAGES
    assert targets["report"] == ["results/report/smoke/index.html"]
    assert len(targets["pretrain"]) == 2
    assert len(targets["adapt"]) == 10
