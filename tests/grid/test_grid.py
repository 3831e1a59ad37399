"""Grids: wrong words are answered with the valid ones, and the runs have one path each."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from sista import registry
from sista.errors import UserError
from sista.grid.grid import Grid

ROOT = Path(__file__).resolve().parents[2]
BASE = {
    "budget": "tiny",
    "corpus": "mimic_cxr@phantom_tiny",
    "encoders": ["resnet_tiny", "vit_tiny"],
    "variants": ["clip", "sista"],
    "draws": [0, 1],
    "fractions": [10, 100],
    "adapt": [
        {
            "protocol": "quick_v1",
            "dataset": "rsna_pneumonia@phantom_tiny",
            "task": "segmentation",
        }
    ],
}


def load(folder: Path, **changes: object) -> Grid:
    file = folder / "grid.yaml"
    file.write_text(yaml.safe_dump({**BASE, **changes}))
    return Grid.load(file)


def refused(folder: Path, **changes: object) -> str:
    with pytest.raises(UserError) as error:
        load(folder, **changes)
    return str(error.value)


def test_a_grid_expands_to_one_row_per_run(tmp_path):
    grid = load(tmp_path, seeds=[0, 1])
    assert len(list(grid.pretrain_runs())) == 2 * 2 * 2
    runs = list(grid.adapt_runs())
    assert len({run.predictions for run in runs}) == len(runs) == 8
    assert {run.encoder: run.head for run in runs} == {
        "resnet_tiny": "unet",
        "vit_tiny": "setr_pup",
    }
    assert runs[0].predictions == (
        "results/adapt/quick_v1/rsna_pneumonia@phantom_tiny/unet/tiny/clip/resnet_tiny/"
        "mimic_cxr@phantom_tiny/seed0/predictions.parquet"
    )
    assert runs[0].draws == (0, 1)
    assert grid.datasets() == ["mimic_cxr@phantom_tiny", "rsna_pneumonia@phantom_tiny"]


def test_one_head_for_all_encoders(tmp_path):
    entry = {"protocol": "quick_v1", "dataset": "chexpert@phantom_tiny", "head": "linear"}
    runs = list(load(tmp_path, adapt=[entry]).adapt_runs())
    assert {(run.head, run.task) for run in runs} == {("linear", "classification")}


def test_a_variant_names_a_method_and_what_differs(tmp_path):
    grid = load(tmp_path, variants={"sista": None, "plain": {"method": "sista", "w_sta": 0.0}})
    runs = {run.variant: run for run in grid.pretrain_runs()}
    assert runs["plain"].method == "sista"
    assert runs["plain"].settings == {"w_sta": 0.0}
    assert runs["plain"].settings_hash != runs["sista"].settings_hash
    assert grid.settings_of("plain") == ("sista", {"w_sta": 0.0})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"budget": "long"}, ["'long'", "tiny", "quick", "paper"]),
        ({"corpus": "mimic"}, ["'mimic'", "mimic_cxr", "chexpert"]),
        ({"corpus": "mimic_cxr@moon"}, ["'moon'", "phantom", "phantom_tiny"]),
        ({"encoders": ["resnet"]}, ["'resnet'", "resnet_tiny", "vit_base"]),
        ({"encoders": ["vit_tiny", "vit_tiny"]}, ["encoders", "twice"]),
        ({"variants": ["clipp"]}, ["'clipp'", "clip", "sista"]),
        ({"variants": ["clip", "clip"]}, ["variants", "twice"]),
        ({"variants": {"sista": {"w_st": 1.0}}}, ["'w_st'", "w_sta"]),
        ({"variants": {"sista": {"w_sta": "much"}}}, ["w_sta='much'", "float"]),
        ({"variants": {"sista": {"patch_stride": 16}}}, ["variant sista: encoder vit", "8 px"]),
        ({"variants": {"sista": {"sia_mode": "x"}}}, ["sia_mode='x'", "eliminate", "attract"]),
        ({"draws": [7]}, ["draws", "[7]", "[0, 1, 2, 3, 4]"]),
        ({"fractions": [5]}, ["fractions", "[5]", "[1, 10, 100]"]),
        ({"threads": 0}, ["threads", "greater than or equal to 1"]),
        ({"drws": [0]}, ["drws: unknown key", "draws", "fractions"]),
    ],
)
def test_a_wrong_word_is_answered_with_the_valid_ones(tmp_path, changes, words):
    message = refused(tmp_path, **changes)
    assert str(tmp_path / "grid.yaml") in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": "quick"}, ["'quick'", "quick_v1"]),
        ({"dataset": "rsna"}, ["'rsna'", "rsna_pneumonia"]),
        ({"task": "captioning"}, ["'captioning'", "classification", "segmentation", "detection"]),
        ({"task": None, "head": "resunet"}, ["'resunet'", "unet", "linear"]),
        ({"head": "unet"}, ["either a task or a head"]),
        ({"tsk": "segmentation"}, ["adapt.0.tsk: unknown key", "protocol", "dataset", "head"]),
    ],
)
def test_a_wrong_word_under_adapt(tmp_path, changes, words):
    message = refused(tmp_path, adapt=[{**BASE["adapt"][0], **changes}])
    for word in words:
        assert word in message


def test_two_settings_under_one_path_are_an_error(tmp_path):
    assert "give one path" in refused(tmp_path, adapt=deepcopy(BASE["adapt"]) + BASE["adapt"])
    file = tmp_path / "twice.yaml"
    text = yaml.safe_dump({k: v for k, v in BASE.items() if k != "variants"})
    file.write_text(text + "variants:\n  sista: {w_sta: 1.0}\n  sista: {w_sta: 2.0}\n")
    with pytest.raises(UserError, match="'sista' stands twice"):
        Grid.load(file)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.yaml: no such grid; give one of benchmarks/"):
        Grid.load("absent.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"broken\.yaml: not valid YAML"):
        Grid.load(tmp_path / "broken.yaml")


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_grid_of_the_project_is_valid(file):
    assert list(Grid.load(file).adapt_runs())


def test_the_grid_of_methods_has_every_method():
    runs = list(Grid.load(ROOT / "benchmarks" / "methods.yaml").pretrain_runs())
    # Weights of others, photographs or films, do not exist for the small encoders.
    others = {"imagenet", "released"}
    assert {run.method for run in runs} == set(registry.names("methods")) - others
    assert {run.encoder for run in runs} == {"resnet_tiny", "vit_tiny"}


@pytest.mark.parametrize(
    ("method", "setting", "value", "words"),
    [
        ("mflag", "projector", "deep", ["linear", "mlp"]),
        ("fane", "published_bias", "yes", ["bool"]),
        ("ifnd", "clusters", 1.5, ["int"]),
        ("pixpro", "head_norm", "batch", ["momentum", "reach"]),
        ("gloria", "aggregate", "median", ["sum", "mean"]),
        ("mgca", "compatibility", "released", ["none", "released_code"]),
        ("siglip", "temprature", 0.1, ["temperature", "bias"]),
    ],
)
def test_settings_of_each_method_are_checked(tmp_path, method, setting, value, words):
    message = refused(tmp_path, variants={"odd": {"method": method, setting: value}})
    for word in [setting, *words]:
        assert word in message


def test_the_schema_for_editors_has_not_drifted():
    file = ROOT / "workflow" / "schemas" / "grid.schema.json"
    made = json.dumps(Grid.model_json_schema(), indent=1, sort_keys=True) + "\n"
    assert file.read_text() == made, "run: sista schema --out " + str(file)


def test_a_method_or_a_grid_says_what_is_a_control(tmp_path):
    swapped = {"method": "sista", "swap_images": True, "control": True}
    grid = load(tmp_path, variants={"supervised": {}, "clip": {}, "swapped": swapped})
    assert grid.controls() == ["supervised", "swapped"]
    # It is no setting of the method.
    assert grid.settings_of("swapped") == ("sista", {"swap_images": True})
    wrong = refused(tmp_path, variants={"clip": {"control": "yes"}})
    assert "variant clip: control='yes': expected true or false" in wrong


def test_a_grid_draws_five_subsets_unless_it_says_otherwise(tmp_path):
    without = {key: value for key, value in BASE.items() if key != "draws"}
    assert Grid.model_validate(without).draws == (0, 1, 2, 3, 4)


def test_a_variant_may_have_a_budget_of_its_own(tmp_path):
    grid = load(tmp_path, variants={"clip": None, "longer": {"method": "clip", "budget": "quick"}})
    runs = {run.variant: run for run in grid.pretrain_runs()}
    assert (runs["clip"].budget, runs["longer"].budget) == ("tiny", "quick")
    # It is no setting of the method.
    assert runs["longer"].settings_hash == runs["clip"].settings_hash
    assert "quick/longer/" in runs["longer"].checkpoint
    assert "'long'" in refused(tmp_path, variants={"clip": {"budget": "long"}})
