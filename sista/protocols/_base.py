"""A protocol: the fixed rules under which numbers are made. Read by planning, so without torch."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sista import registry
from sista.errors import UserError
from sista.grid.budgets import BUDGETS
from sista.metadata import data_word

CLASSIFICATION, SEGMENTATION, DETECTION = "classification", "segmentation", "detection"
CHEXPERT_COMPETITION = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Pleural Effusion",
)


@dataclass(frozen=True)
class Settings:
    """How heads of one task are trained, the same for every pre-training method.

    Attributes:
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        batch: images in a step; by epochs the last one of an epoch has what is left.
        iterations: steps, the last weights count; None = train by epochs.
        epochs: passes over the training images at most (without `iterations`).
        most_steps: training by epochs ends an epoch after this many steps; 0 = never.
        patience: stop after this many epochs without a better `monitor`; the best weights count.
        monitor: what decides on the validation split: `loss` or `map_40_75`.
        cosine: the learning rate falls to 0 along a cosine (with `iterations`).
        clip_gradient: largest norm of the gradient; None = not clipped.
        zoom: scale the image to this many times its size and cut out the centre; 1 to 8.
        layer_decay: tuned heads: each layer of the encoder learns at this factor of the rate of the
            layer above it (Clark et al. 2020, ELECTRA; Bao et al. 2022, BEiT); 1 = all alike.
        batch_norms: tuned heads: `train` updates the encoder's running statistics, `frozen` uses
            those of pre-training (small batches make poor statistics).
        augment: how training images are changed at every visit (`sista.adaptation.views`): `crop`
            cuts out any part of the zoomed image, `moco` also jitters, blurs and mirrors it,
            `affine` scales and rotates. A frozen encoder then runs in every training step.
        drop_last: by epochs: a last batch that is not full is left out, if there is a full one.
        head: settings of the head that differ from its own defaults, by head.
    """

    learning_rate: float
    weight_decay: float
    batch: int
    iterations: int | None = None
    epochs: int = 50
    most_steps: int = 0
    patience: int = 10
    monitor: str = "loss"
    cosine: bool = False
    clip_gradient: float | None = None
    zoom: float = 1.0
    layer_decay: float = 1.0
    batch_norms: Literal["train", "frozen"] = "train"
    augment: Literal["none", "crop", "moco", "affine"] = "none"
    drop_last: bool = False
    head: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no training can follow.

        Raises:
            UserError: names the setting and its range.
        """
        for name, least, most, why in _RANGES:
            value = getattr(self, name)
            if value is not None and not (least <= value <= most and value < math.inf):
                raise UserError(f"{name}={value!r}: {why}")
        for name in ("learning_rate", "clip_gradient"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"{name}={value!r}: must be above 0 and finite")
        if self.cosine and self.iterations is None:
            raise UserError(
                "cosine=True: needs iterations, since training by epochs has no known length; "
                "set cosine to false too"
            )

    def without_effect(self, names: Collection[str], adapts: str) -> dict[str, str]:
        """Return which of these settings change nothing here, and why.

        Args:
            names: fields that somebody has set.
            adapts: how the head adapts: frozen, tuned or untrained.
        """
        if adapts == "untrained":
            return {name: "the head is not trained" for name in names if name != "zoom"}
        reasons: dict[str, str] = {}
        if self.iterations is not None:
            why = f"the head is trained by iterations ({self.iterations}), not by epochs"
            by_epochs = ("epochs", "most_steps", "patience", "monitor", "drop_last")
            reasons |= dict.fromkeys(by_epochs, why)
            if self.iterations == 1:
                reasons["cosine"] = "a single step has the full learning rate"
        elif self.patience >= self.epochs - 1:
            why = f"training ends after {self.epochs} epochs"
            # The first epoch is the best so far, whatever decides.
            idle = ("patience", "monitor") if self.epochs == 1 else ("patience",)
            reasons |= dict.fromkeys(idle, why)
        if adapts != "tuned":
            why = "the encoder is frozen"
            reasons |= dict.fromkeys(("layer_decay", "batch_norms"), why)
        if self.augment == "crop" and self.zoom == 1:
            reasons["augment"] = "zoom 1 leaves no room for a crop"
        return {name: why for name, why in reasons.items() if name in names}


_RANGES = (
    ("weight_decay", 0, math.inf, "must be at least 0 and finite"),
    ("batch", 1, 1 << 16, f"must be at least 1 and at most {1 << 16}"),
    ("iterations", 1, math.inf, "must be at least 1, or null to train by epochs"),
    ("epochs", 1, math.inf, "must be at least 1"),
    ("most_steps", 0, math.inf, "must be at least 0 (0 = no limit)"),
    ("patience", 1, math.inf, "must be at least 1"),
    # Beyond, less than a 64th of the film is left, blown up.
    ("zoom", 1, 8, "must be at least 1 and at most 8"),
    ("layer_decay", 1e-6, 1, "must be above 0 and at most 1"),
)


@dataclass(frozen=True)
class Exceptional:
    """Settings that differ for one data set or label fraction.

    Attributes:
        task: of the exception, or a head.
        changes: fields of `Settings`.
        dataset: word of a data set; None = all.
        fraction: percent of the labels; None = all.
    """

    task: str
    changes: Mapping[str, Any]
    dataset: str | None = None
    fraction: int | None = None


@dataclass(frozen=True)
class SplitRule:
    """Another split of a data set than that of `prepare`.

    Attributes:
        dataset: word of the data set.
        tasks: that are split so.
        held_out: share of the images of which one half is the validation and one the test set, in
            a random order of the patients by numpy's generator with seed 0; None = the sets of
            `prepare`.
        balanced: of each draw's training images all with a positive label, and as many without.
    """

    dataset: str
    tasks: tuple[str, ...]
    held_out: float | None = None
    balanced: bool = False


@dataclass(frozen=True)
class Protocol:
    """Data, head, schedule and metrics by name. Two protocols never share a table column.

    Attributes:
        word: its name in grids, paths and tables.
        image_size: side of the image in pixels; None = the encoder's own.
        heads: head by task and encoder family.
        settings: training by task, or by head where one of the task is trained in another way.
        exceptions: what differs for a data set or fraction; later ones win.
        metrics: main metric by task, where it is not the first one of the task.
        label_policy: meaning of uncertain and blank labels, by data set; else the data set's own.
        labels: the labels that count, by data set; else all of them.
        map_bytes: feature maps kept in memory at most.
        splits: where a data set is split in another way than by `prepare`.
        differs: how it differs from the protocol that it is named after, by task; captions say so.
    """

    word: str
    image_size: int | None
    heads: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, Settings]
    exceptions: tuple[Exceptional, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    label_policy: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    map_bytes: int = 2 << 30
    splits: tuple[SplitRule, ...] = ()
    differs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def settings_for(
        self, task: str, head: str, dataset: str, fraction: int, budget: str = ""
    ) -> Settings:
        """Return the training settings of a head on a data set at a label fraction.

        What the protocol says of the head comes first, then the head's own `TRAINING`, then what
        the protocol says of the task, which is meant for its own heads.

        Args:
            task: word of the task.
            head: word of the head.
            dataset: reference of a data set, with or without origin.
            fraction: percent of the labels.
            budget: of the encoder; one that only shows that everything runs shortens the heads.

        Raises:
            UserError: neither says how the head is trained.
        """
        word = data_word(dataset)
        chosen = self._settings(task, head)
        for each in self.exceptions:
            if (
                each.task in (task, head)
                and each.dataset in (None, word)
                and each.fraction in (None, fraction)
            ):
                chosen = replace(chosen, **each.changes)
        return _shortened(chosen, budget)

    def _settings(self, task: str, head: str) -> Settings:
        own = registry.constant("heads", head, "TRAINING", {})
        if head in self.settings:
            return self.settings[head]
        if own or registry.constant("heads", head, "ADAPTS") == "untrained":
            # An untrained head takes no step, but may look at the images as the task's heads do.
            zoom = self.settings[task].zoom if task in self.settings else 1.0
            nothing = {"learning_rate": 1.0, "weight_decay": 0.0, "batch": 1, "zoom": zoom}
            return Settings(**{**nothing, **own})
        if task not in self.settings:
            raise UserError(
                f"protocol {self.word} says nothing about task {task}, and head {head} has no "
                f"TRAINING of its own; valid: {', '.join(self.settings)}"
            )
        return self.settings[task]

    def main_metric(self, task: str) -> str | None:
        """Return the metric of a task's main table; None where the task decides."""
        return self.metrics.get(task)

    def split_rule(self, task: str, dataset: str) -> SplitRule | None:
        """Return how a data set is split for a task; None = as `prepare` has split it."""
        word = data_word(dataset)
        found = (rule for rule in self.splits if rule.dataset == word and task in rule.tasks)
        return next(found, None)

    def options_for(self, dataset: str) -> dict[str, Any]:
        """Return label policy and labels of a data set; None where the data set decides."""
        word = data_word(dataset)
        return {"label_policy": self.label_policy.get(word), "labels": self.labels.get(word)}


def _shortened(settings: Settings, budget: str) -> Settings:
    """Return settings within what a budget leaves to heads; weights of others have no budget."""
    known = BUDGETS.get(budget)
    if known is None:
        return settings
    both = {**settings.head, **known.head}
    head = {name: {**settings.head.get(name, {}), **known.head.get(name, {})} for name in both}
    if not known.head_steps:
        return replace(settings, head=head)
    if settings.iterations is None:
        return replace(settings, epochs=1, most_steps=known.head_steps, head=head)
    return replace(settings, iterations=min(settings.iterations, known.head_steps), head=head)


# Long side 256, of which 224 are cut out, as in pre-training.
FAMILY_ZOOM = 256 / 224
FAMILY_HEADS: Mapping[str, Mapping[str, str]] = {
    CLASSIFICATION: {"resnet": "linear", "vit": "linear"},
    SEGMENTATION: {"resnet": "unet", "vit": "setr_pup"},
    DETECTION: {"resnet": "yolov3", "vit": "yolov3"},
}
FAMILY_POLICY: Mapping[str, str] = {"chexpert": "mixed", "mimic_cxr": "mixed"}
FAMILY_LABELS: Mapping[str, tuple[str, ...]] = {"chexpert": CHEXPERT_COMPETITION}
