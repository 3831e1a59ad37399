"""A protocol: the fixed rules under which numbers are made. Read by planning, so without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sista.errors import UserError
from sista.grid.budgets import BUDGETS

CLASSIFICATION, SEGMENTATION, DETECTION = "classification", "segmentation", "detection"
# The first metric of a task is the one of its main table.
METRICS: Mapping[str, tuple[str, ...]] = {
    CLASSIFICATION: ("auroc", "accuracy"),
    SEGMENTATION: ("dice_positive", "dice_per_image", "dice_micro"),
    DETECTION: ("map_40_75", "ap50"),
}
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
        learning_rate: of `optimizer`.
        weight_decay: of `optimizer`.
        batch: images in a step.
        iterations: steps, the last weights count; None = train by epochs.
        epochs: passes over the training images at most (without `iterations`).
        most_steps: training by epochs ends an epoch after this many steps; 0 = never.
        patience: stop after this many epochs without a better `monitor`; the best weights count.
        monitor: what decides on the validation split: `loss` or `map_40_75`.
        optimizer: AdamW.
        frozen: the encoder is not trained.
        cosine: the learning rate falls to 0 along a cosine (with `iterations`).
        clip_gradient: largest norm of the gradient; None = not clipped.
        zoom: scale the image to this many times its size and cut out the centre.
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
    optimizer: str = "AdamW"
    frozen: bool = True
    cosine: bool = False
    clip_gradient: float | None = None
    zoom: float = 1.0
    head: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Exceptional:
    """Settings that differ for one data set or label fraction.

    Attributes:
        task: of the exception.
        changes: fields of `Settings`.
        dataset: word of a data set; None = all.
        fraction: percent of the labels; None = all.
    """

    task: str
    changes: Mapping[str, Any]
    dataset: str | None = None
    fraction: int | None = None


@dataclass(frozen=True)
class Protocol:
    """Data, head, schedule and metrics by name. Two protocols never share a table column.

    Attributes:
        word: its name in grids, paths and tables.
        image_size: side of the image in pixels; None = the encoder's own.
        heads: head by task and encoder family.
        settings: training by task.
        exceptions: what differs for a data set or fraction; later ones win.
        metrics: by task, the main one first.
        label_policy: meaning of uncertain and blank labels, by data set; else the data set's own.
        labels: the labels that count, by data set; else all of them.
        map_bytes: feature maps kept in memory at most.
    """

    word: str
    image_size: int | None
    heads: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, Settings]
    exceptions: tuple[Exceptional, ...] = ()
    metrics: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(METRICS))
    label_policy: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    map_bytes: int = 2 << 30

    def settings_for(self, task: str, dataset: str, fraction: int, budget: str = "") -> Settings:
        """Return the training settings of a task on a data set at a label fraction.

        Args:
            task: classification, segmentation or detection.
            dataset: reference of a data set, with or without origin.
            fraction: percent of the labels.
            budget: of the encoder; one that only shows that everything runs shortens the heads.

        Raises:
            UserError: the protocol has no such task.
        """
        if task not in self.settings:
            valid = ", ".join(self.settings)
            raise UserError(f"protocol {self.word}: no task {task!r}; valid: {valid}")
        word = dataset.partition("@")[0]
        chosen = self.settings[task]
        for each in self.exceptions:
            if (
                each.task == task
                and each.dataset in (None, word)
                and each.fraction in (None, fraction)
            ):
                chosen = replace(chosen, **each.changes)
        return _shortened(chosen, budget)

    def options_for(self, dataset: str) -> dict[str, Any]:
        """Return label policy and labels of a data set; None where the data set decides."""
        word = dataset.partition("@")[0]
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
