"""Every setting of every method changes what is trained, or is refused: no record names what did
not happen."""

import ast
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from sista import registry
from sista.encoders.image import ImageEncoder
from sista.encoders.text import SMALL
from sista.engine import sources
from sista.engine.corpus import Corpus
from sista.engine.loop import Trainer
from sista.engine.model import PretrainModel
from sista.engine.sources import known_labels
from sista.errors import UserError
from sista.grid.budgets import Budget
from sista.losses import gloria
from tests.made_up_corpus import corpus, varied_reports
from tests.made_up_pairs import SPECS

BUDGET = Budget("made", epochs=1, batch=16, learning_rate=1e-2, warmup=0.0, tokens=40)
# A word of both, so that a ResNet of 32 px has more than one cell of its last map.
ENCODERS = {"pixpro": "vit"}
# Where half of the default says nothing, or there is no number to halve.
VALUES: dict[tuple[str, str], list[Any]] = {
    ("fane", "similarity"): ["labels", "rule_labels"],
    ("ifnd", "clusters"): [3],
    ("imagenet", "weights"): ["weights/{encoder}.safetensors"],
    ("prior", "local_temperature"): [0.1],
    ("prior", "temperature"): [0.1],
    ("released", "weights"): ["weights/{encoder}.safetensors"],
    ("sat", "similarity"): ["labels", "rule_labels"],
    ("sista", "attention_temperature"): [0.1],
    ("sista", "image_negatives"): [4, -1],
    ("sista", "sigma"): [0.8],
    ("sista", "similarity"): ["labels", "rule_labels"],
    ("sista", "theta_neutral"): [0.2],
    ("sista", "theta_quantile"): [0.5],
    ("sista", "w_absent"): [1.0],
    ("sista", "w_intra"): [1.0],
    ("sista", "w_report"): [0.5],
    ("sista", "w_report_end"): [0.5, None],
}
# What a setting needs to act; alone it is refused.
NEEDS: dict[tuple[str, str], dict[str, Any]] = {
    ("sista", "eliminate_images"): {"image_negatives": -1},
    ("sista", "sigma"): {"sparsify": "minmax"},
    ("sista", "soft_temperature"): {"sia_mode": "soft"},
    ("sista", "theta_neutral"): {"sia_mode": "attract"},
    ("sista", "top_k"): {"sparsify": "topk"},
}
# Beside what these act on sixteen studies; alone they are allowed.
SHOWN: dict[tuple[str, str], dict[str, Any]] = {
    ("ifnd", "acceptance"): {"clusters": 3},
    ("sista", "recentre"): {"theta": 0.3},
}
# Change memory and time, and rounding at most: tests of their own.
MEMORY_ONLY = {("gloria", "chunk")}
# A running centre has moved too little after one step to carry a report over such a cut.
SLOW = [("theta_quantile", "recentre", "running")]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The corpus; its tables are read once, which costs twice as much as a step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "load_subsets", cache(sources.load_subsets))
        yield Corpus(*corpus(tmp_path_factory.mktemp("corpus"), 24, varied_reports()))


@dataclass(frozen=True)
class Step:
    """The needs of an objective and what its first step leaves."""

    needs: Any
    tensors: dict[str, torch.Tensor]


def first_step(method: str, data: Corpus, settings: dict[str, Any]) -> Step:
    """Check the settings and train one step with them, half of the epochs being over."""
    registry.check_settings("methods", method, settings)
    torch.manual_seed(0)
    objective = registry.find("methods", method)(**settings)
    needs = objective.needs
    if not needs.trained:
        return Step(needs, {})
    # What an objective draws for itself shall not be what differs.
    torch.manual_seed(1)
    image = ImageEncoder(SPECS[ENCODERS.get(method, "resnet")])
    made = sources.load_sources(data, side=image.size, needs=needs, budget=BUDGET, text=SMALL)
    train = made.train
    torch.manual_seed(2)
    model = PretrainModel(image, made.text, needs, 1)
    trainer = Trainer(model, objective, BUDGET, 0, torch.device("cpu"))
    objective.prepare(len(train))
    objective.calibrate(train.vectors)
    objective.before_epoch(lambda: trainer.embed(train), 0.5)
    objective.after_step(model, 0.5)
    model.train()
    objective.train()
    rows = np.arange(16)
    chunks = trainer.chunks(train, rows, 0, known_labels(train.pairs))
    parts = trainer.differentiate(chunks, train.alike(rows, trainer.device), trainer.scaler, 5)
    tensors = {"loss": parts["loss"]}
    for place, module in (("model", model), ("objective", objective)):
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                tensors[f"{place}.{name}"] = parameter.grad.clone()
    trainer.optimiser.step()
    objective.after_step(model, 0.5)
    tensors |= {k: v for k, v in model.state_dict().items() if k.startswith("target.")}
    return Step(needs, tensors)


def differ(one: Step, other: Step) -> bool:
    """Whether two steps differ by more than rounding."""
    if not one.needs.trained:
        return one.needs != other.needs
    if {k: v.shape for k, v in one.tensors.items()} != {
        k: v.shape for k, v in other.tensors.items()
    }:
        return True
    both = [
        torch.cat([step.tensors[name].double().flatten() for name in one.tensors])
        for step in (one, other)
    ]
    return bool((both[0] - both[1]).norm() > 1e-4 * both[0].norm())


def changed(setting: registry.Setting) -> list[Any]:
    """Values of the setting's type other than its default: all words, half of a number."""
    words: list[Any] = []
    for node in ast.walk(ast.parse(setting.annotation)):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
            listed = ast.literal_eval(node.slice)
            words += listed if isinstance(listed, tuple) else [listed]
    if words:
        return [word for word in words if word != setting.default]
    if isinstance(setting.default, bool):
        return [not setting.default]
    if isinstance(setting.default, int):
        return [setting.default // 2]
    assert isinstance(setting.default, float), f"{setting}: give a value in VALUES"
    assert setting.default, f"{setting}: give a value in VALUES"
    return [setting.default / 2]


CASES = [
    (method, setting.name, value)
    for method in registry.names("methods")
    for setting in registry.settings("methods", method).values()
    for value in VALUES.get((method, setting.name)) or changed(setting)
]


@pytest.fixture(scope="module")
def steps(data):
    """Return the first step of a method with some settings, each worked out once."""
    kept: dict[str, Step] = {}

    def step(method: str, **settings: Any) -> Step:
        key = f"{method} {sorted(settings.items())}"
        if key not in kept:
            kept[key] = first_step(method, data, settings)
        return kept[key]

    return step


@pytest.mark.parametrize(("method", "name", "value"), CASES)
def test_a_changed_setting_changes_the_first_step(method, name, value, steps):
    if (method, name) in MEMORY_ONLY:
        return
    needs = NEEDS.get((method, name))
    if needs is not None:
        with pytest.raises(UserError, match=f"{name}={value!r} has no effect"):
            registry.check_settings("methods", method, {name: value})
    beside = needs or SHOWN.get((method, name), {})
    if method == "released":
        assert first_step(method, None, {name: value}).needs.weights == value
        return
    assert differ(steps(method, **beside), steps(method, **beside, **{name: value}))


@pytest.mark.parametrize("method", registry.names("methods"))
def test_the_same_settings_give_the_same_step(method, data, steps):
    if method != "released":
        assert not differ(steps(method), first_step(method, data, {}))


SWITCHED_OFF = [
    (method, {name: 0})
    for method in registry.names("methods")
    for name, setting in registry.settings("methods", method).items()
    if name.startswith("w_") and setting.default
]
# Readings of SISTA in which other settings act.
READINGS: list[dict[str, Any]] = [
    {"sia_mode": "infonce"},
    {"sia_mode": "soft"},
    {"sia_mode": "attract"},
    {"theta_quantile": 0.7},
    {"similarity": "rule_labels"},
    {"recentre": "running"},
    {"sparsify": "minmax"},
    {"sparsify": "softmax"},
    {"image_negatives": -1},
    {"image_negatives": -1, "sia_mode": "infonce"},
    {"image_negatives": -1, "sia_mode": "soft"},
    {"image_negatives": -1, "w_sia": 0.0},
    {"image_negatives": -1, "eliminate_images": False},
    {"image_negatives": 0, "w_report": 1.0},
    {"image_negatives": 0, "w_report": 1.0, "directions": "patch"},
]


@pytest.mark.parametrize(
    ("method", "beside"),
    [
        *SWITCHED_OFF,
        *(pytest.param("sista", beside, marks=pytest.mark.slow) for beside in READINGS),
    ],
)
def test_every_setting_acts_or_is_refused_beside_others(method, beside, steps):
    """A switched-off part takes its settings along."""
    idle = []
    for name, value in [(name, value) for word, name, value in CASES if word == method]:
        slow = any((other, name, value) in SLOW for other in beside)
        if (method, name) in MEMORY_ONLY or name in beside or slow:
            continue
        shown = SHOWN.get((method, name), {}) | beside
        try:
            registry.check_settings("methods", method, {**shown, name: value})
            registry.check_settings("methods", method, shown)
        except UserError:
            # Alone, with what is needed to see it, it may still act.
            shown = beside
            try:
                registry.check_settings("methods", method, {**shown, name: value})
            except UserError:
                continue
        if not differ(steps(method, **shown), steps(method, **{**shown, name: value})):
            idle.append((name, value))
    assert idle == []


@pytest.mark.parametrize(
    "settings",
    [
        {"recentre": "corpus", "theta_quantile": 0.7},
        {"sparsify": "minmax", "attention_temperature": 0.1},
        {"similarity": "labels", "r_text": "raw"},
    ],
)
def test_what_is_refused_would_have_changed_nothing(settings, data, steps, monkeypatch):
    """The rules are no stricter than the arithmetic."""
    rest = {k: v for k, v in settings.items() if k not in ("recentre", "r_text")}
    if "attention_temperature" in rest:
        rest["attention_temperature"] = 1.0
    base = steps("sista", **rest)
    monkeypatch.setattr(registry, "check_settings", lambda *_: None)
    assert not differ(base, first_step("sista", data, settings))


def test_the_chunk_of_gloria_changes_memory_only(data, steps, monkeypatch):
    sizes: list[int] = []
    apply = gloria.PairMatch.apply

    def counted(patches, words, *rest):
        sizes.append(len(words))
        return apply(patches, words, *rest)

    monkeypatch.setattr(gloria.PairMatch, "apply", counted)
    assert not differ(steps("gloria"), first_step("gloria", data, {"chunk": 5}))
    assert sizes[-4:] == [5, 5, 5, 1]


def test_every_need_is_told_apart():
    """A field of `Needs` that no setting and no method changes would be a dead one."""
    seen = {field.name: set() for field in fields(registry.find("methods", "clip")().needs)}
    for method in registry.names("methods"):
        needs = registry.find("methods", method)().needs
        for name, values in seen.items():
            values.add(str(getattr(needs, name)))
    for method, name, value in CASES:
        beside = NEEDS.get((method, name), {})
        needs = registry.find("methods", method)(**beside, **{name: value}).needs
        for field, values in seen.items():
            values.add(str(getattr(needs, field)))
    assert [name for name, values in seen.items() if len(values) < 2] == []
