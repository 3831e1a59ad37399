"""Every setting that a head or its training has acts on the run, or is refused with its reason.

The words come from the registry: a new head or a new setting without a case fails here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from sista import registry
from sista.adaptation import segmentation
from sista.adaptation.settings import training_settings
from sista.adaptation.task import HeadTask
from sista.errors import UserError
from tests.adapted import adapted
from tests.blobs import encoder_file

# Where half of a number, or the other word, would show nothing.
VALUES: dict[tuple[str, str], Sequence[Any]] = {
    ("grounding", "stride"): [16],
    ("grounding", "swaps"): [2],
    ("yolov3", "score"): [0.5],
    ("zero_shot", "prompts"): ["chexzero", "biovil"],
}
HEADS = registry.names("heads")
CASES = [(head, name) for head in HEADS for name in registry.settings("heads", head)]
# What the data decide: refused.
DECIDED = {"exclusive"}
ENCODERS = {"setr_pup": "vit_tiny"}
EPOCHS = {"iterations": None, "cosine": False, "epochs": 4, "patience": 1, "learning_rate": 1.0}
# Head, settings beside it, and another value than the one that is in force.
TRAINING: dict[str, tuple[str, dict[str, Any], Any]] = {
    "learning_rate": ("linear", {}, 0.1),
    "weight_decay": ("linear", {"learning_rate": 0.1}, 0.9),
    "batch": ("linear", {}, 5),
    "iterations": ("linear", {}, 2),
    "cosine": ("linear", {}, False),
    "clip_gradient": ("linear", {"iterations": 9}, 1e-7),
    "zoom": ("linear", {}, 1.5),
    "epochs": ("linear", EPOCHS | {"learning_rate": 1e-3}, 3),
    "most_steps": ("linear", EPOCHS | {"batch": 4}, 1),
    "patience": ("linear", EPOCHS | {"epochs": 6}, 4),
    "monitor": ("yolov3", EPOCHS | {"epochs": 3, "learning_rate": 1e-3}, "map_40_75"),
    "layer_decay": ("finetune", {}, 0.1),
    "batch_norms": ("finetune", {}, "frozen"),
    "augment": ("linear", {}, "crop"),
    "drop_last": ("linear", EPOCHS | {"batch": 4, "learning_rate": 1e-3}, True),
}


@dataclass(frozen=True)
class Run:
    """What a job gave: predictions, epochs judged by the validation loss, and its record."""

    predictions: str
    judged: int
    resolved: dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory, discs, checkpoint):
    """Return a function that runs a head with settings; each run is made once."""
    encoders, folder = {"resnet_tiny": checkpoint}, tmp_path_factory.mktemp("encoders")
    for word in ("vit_tiny", "vit_tiny_224"):
        encoders[word] = encoder_file(folder / f"{word}.safetensors", word, "tiny")
    kept: dict[str, Run] = {}

    def made(
        head: str, changes: dict[str, Any] | str, encoder: str = "", again: bool = False
    ) -> Run:
        key = f"{head} {changes} {encoder}"
        if key not in kept or again:
            out = tmp_path_factory.mktemp("run") / "p.parquet"
            chosen = encoders[encoder or ENCODERS.get(head, "resnet_tiny")]
            kept[key] = _adapt(discs, chosen, out, head, changes)
        return kept[key]

    return made


def _adapt(*job: Any) -> Run:
    judge, judged = HeadTask.validation_loss, []

    def counted(*arguments: Any) -> float:
        judged.append(judge(*arguments))
        return judged[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HeadTask, "validation_loss", counted)
        # Masks start at this probability (see `segmentor`); after three steps none is above 1/2.
        patch.setattr(segmentation, "THRESHOLD", 0.12)
        frame, _, asked = adapted(*job)
    (resolved,) = asked["resolved"].values()
    assert len(frame)
    return Run(frame.to_csv(), len(judged), resolved)


def other_values(setting: registry.Setting, current: Any) -> list[Any]:
    """Return values of a setting other than the one in force."""
    if isinstance(current, bool):
        return [not current]
    assert isinstance(current, int | float), f"{setting}: give a value in VALUES"
    assert current, f"{setting}: give a value in VALUES"
    return [current // 2 if isinstance(current, int) else current / 2]


@pytest.mark.parametrize(("head", "name"), CASES)
def test_a_changed_setting_of_a_head_changes_its_predictions(head, name, run):
    if name in DECIDED:
        for value in (True, False):
            with pytest.raises(UserError, match=f"{name} would change nothing: the data decide"):
                run(head, {name: value})
        return
    base = run(head, {})
    current = base.resolved["head"][head][name]
    setting = registry.settings("heads", head)[name]
    for value in VALUES.get((head, name)) or other_values(setting, current):
        changed = run(head, {name: value})
        assert changed.predictions != base.predictions, value
        assert changed.resolved["head"][head] == base.resolved["head"][head] | {name: value}


@pytest.mark.parametrize("head", HEADS)
def test_the_same_settings_give_the_same_bits(head, run):
    assert run(head, {}) == run(head, {}, again=True)


def test_every_setting_of_training_has_a_case():
    assert set(TRAINING) == set(training_settings())


@pytest.mark.parametrize("name", TRAINING)
def test_a_changed_setting_of_training_changes_the_run(name, run):
    head, beside, value = TRAINING[name]
    base, changed = run(head, beside), run(head, beside | {name: value})
    assert (base.predictions, base.judged) != (changed.predictions, changed.judged)
    assert changed.resolved == base.resolved | {name: value}


@pytest.mark.parametrize("head", HEADS)
def test_settings_that_cannot_act_on_a_head_are_refused_and_not_recorded(head, run):
    adapts = registry.constant("heads", head, "ADAPTS")
    idle = {"frozen": {"layer_decay", "batch_norms"}, "tuned": set(), "untrained": set(TRAINING)}
    names = idle[adapts] | {"epochs", "most_steps", "patience", "monitor", "drop_last"}
    if adapts == "untrained" and registry.constant("heads", head, "LEVELS", None):
        names -= {"zoom"}
    for name in names:
        with pytest.raises(UserError, match=f"{name} would change nothing: "):
            run(head, {name: TRAINING[name][2]})
    assert set(run(head, {}).resolved) == {"head", *TRAINING} - names


@pytest.mark.parametrize("head", ["unet", "setr_pup", "yolov3", "finetune", "zero_shot"])
def test_the_zoom_acts_on_every_head_that_takes_features(head, run):
    assert run(head, {}).predictions != run(head, {"zoom": 1.5}).predictions


@pytest.mark.parametrize("head", ["linear", "unet", "setr_pup", "yolov3", "finetune"])
@pytest.mark.parametrize("augment", ["crop", "moco", "affine"])
def test_training_images_can_be_changed_for_every_trained_head(head, augment, run):
    changes = {"zoom": 1.5, "augment": augment}
    changed = run(head, changes)
    assert run(head, {"zoom": 1.5}).predictions != changed.predictions
    assert run(head, changes, again=True) == changed


@pytest.mark.parametrize(
    ("head", "changes", "message"),
    [
        ("unet", '{"batch": 1, "batch": 2}', "--settings: 'batch' stands twice"),
        ("unet", '{"learning_rate": NaN}', "learning_rate=nan: expected a finite number"),
        ("unet", '{"weight_decay": Infinity}', "weight_decay=inf: expected a finite number"),
        ("unet", f'{{"learning_rate": 1{"0" * 400}}}', "expected a finite number"),
        ("unet", '{"focal_weight": NaN}', "focal_weight=nan: expected a finite number"),
        ("unet", '{"focal_weight": -1}', "unet: focal_weight: -1, but it must be"),
        ("unet", '{"channels": 4}', "unet: channels: 4, .* at least 8"),
        ("unet", '{"augment": "crop"}', "augment would change nothing: zoom 1 leaves no room"),
        ("unet", '{"augment": "flip"}', "augment='flip': expected Literal"),
        ("unet", '{"steps": 0}', "unet: steps: 0, .* at least 1"),
        ("unet", '{"steps": 6}', "steps=6: 5 reach the resolution of the image"),
        ("setr_pup", '{"steps": 4}', "steps=4: 3 reach the resolution of the image"),
        ("setr_pup", '{"channels": 0}', "setr_pup: channels: 0, .* at least 1"),
        ("yolov3", '{"boxes": 0}', "yolov3: boxes: 0, .* at least 1"),
        ("yolov3", '{"score": 1.5}', "yolov3: score: 1.5, .* at most 1"),
        ("yolov3", '{"channels": 30}', "channels=30: must be a multiple of 4"),
        ("yolov3", '{"monitor": "map_40_75"}', "monitor would change nothing: .* by iterations"),
        ("zero_shot", '{"temperature": 0}', "zero_shot: temperature: 0, .* at least 0.01"),
        ("grounding", '{"swaps": 0}', "grounding: swaps: 0, .* at least 1"),
        ("grounding", '{"stride": 4.5}', "stride=4.5: expected int"),
        ("grounding", '{"stride": 5}', "stride 5: the encoder has 4, 8, 16, 32"),
        ("linear", '{"zoom": 0.5}', "zoom=0.5: must be at least 1 and at most 8"),
        ("linear", '{"zoom": 1e9}', "zoom=1000000000.0: must be at least 1 and at most 8"),
        ("linear", '{"zoom": 1.14}', "zoom would change nothing: at 64 px it is .* 1.14286"),
        ("linear", '{"batch": 0}', "batch=0: must be at least 1"),
        ("linear", '{"batch": 1}', "batch=1: one pooled feature has no variance"),
        ("linear", '{"iterations": null}', "cosine=True: needs iterations"),
        ("linear", '{"iterations": 1, "cosine": true}', "cosine would change nothing: a single"),
        ("linear", '{"clip_gradient": 0}', "clip_gradient=0: must be above 0"),
        ("linear", '{"head": {}}', "no setting 'head'"),
        ("finetune", '{"layer_decay": 1.5}', "layer_decay=1.5: must be above 0 and at most 1"),
        ("finetune", '{"batch_norms": "off"}', "batch_norms='off': expected Literal"),
    ],
)
def test_what_no_run_can_follow_is_refused(head, changes, message, run):
    with pytest.raises(UserError, match=message):
        run(head, changes)


@pytest.mark.parametrize(
    ("head", "encoder", "changes", "message"),
    [
        ("finetune", "vit_tiny_224", {"batch_norms": "frozen"}, "vit_tiny_224 has no batch norm"),
        ("grounding", "vit_tiny", {"stride": 8}, "for resnet encoders, and vit_tiny is a vit"),
        ("linear", "", EPOCHS | {"monitor": "map_40_75"}, "cannot stop by monitor 'map_40_75'"),
        ("linear", "", EPOCHS | {"batch": 19}, "batch .*: the largest training set has 18 images"),
        ("linear", "", EPOCHS | {"batch": 9, "most_steps": 2}, "an epoch has 2 steps at most"),
        ("linear", "", EPOCHS | {"batch": 18, "drop_last": True}, "drop_last .* one batch of 18"),
        ("linear", "", EPOCHS | {"patience": 3}, "patience .* training ends after 4 epochs"),
        ("yolov3", "", EPOCHS | {"epochs": 1, "monitor": "map_40_75"}, "patience .* after 1 epoch"),
    ],
)
def test_settings_that_cannot_act_here_are_refused(head, encoder, changes, message, run):
    with pytest.raises(UserError, match=message):
        run(head, changes, encoder)


def test_what_an_encoder_lacks_is_not_recorded(run):
    assert "batch_norms" in run("finetune", {}).resolved
    assert "stride" in run("grounding", {}).resolved["head"]["grounding"]
    assert "batch_norms" not in run("finetune", {"iterations": 1}, "vit_tiny_224").resolved


def test_a_last_batch_of_one_image_is_trained(run):
    changes = {"iterations": None, "cosine": False, "epochs": 1, "batch": 11}
    assert run("linear", changes).resolved["batch"] == 11
