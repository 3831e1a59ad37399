"""Heads on a frozen encoder: it sees every image once, and its features serve all heads.

Where the protocol changes training images at every visit it sees those in every step as well.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sista import registry
from sista.adaptation.job import Job, Outcome, head_seed
from sista.adaptation.views import POLICIES, TrainingViews
from sista.encoders.features import FeatureStore
from sista.encoders.stored_features import stored_features
from sista.errors import UserError
from sista.openmmlab.backbone import feature_shape
from sista.openmmlab.loading import quiet
from sista.openmmlab.training import Make, train_head
from sista.protocols._base import Protocol, Settings

if TYPE_CHECKING:
    from sista.encoders.image import ImageFeatures


def features(job: Job, levels: Sequence[int], zoom: float) -> FeatureStore:
    """Return the encoder's features of the job's images; jobs of other heads share them."""
    asked, size = job.asked, job.task.size
    return stored_features(
        job.encoder,
        asked.encoder,
        asked.manifest.with_suffix(".images.npy"),
        [int(row) for row in job.task.frame["row"]],
        levels=levels,
        also=_levels_of_other_heads(asked.rules, asked.task, job.encoder.family, zoom),
        size=size,
        resize=round(size * zoom),
        device=job.device,
        scratch=asked.scratch / "features",
        memory_bytes=asked.rules.map_bytes,
    )


def adapt(job: Job, draw: int, fraction: int, folder: Path) -> Outcome:
    """Train one head on kept features and predict; see `Job.adapt`."""
    rows, reason = job.training_rows(draw, fraction)
    if reason:
        return None, reason
    return fit(job, draw, fraction, folder, rows, lambda settings: build(job, settings, fraction))


def fit(
    job: Job, draw: int, fraction: int, folder: Path, rows: Sequence[int], make: Any
) -> Outcome:
    """Train what `make` builds by the settings of this fraction, and predict.

    Args:
        job: the job.
        draw: of the labels.
        fraction: of the labels.
        folder: for the states of a training by epochs.
        rows: training images.
        make: builds the model from the settings, on the job's device.
    """
    import torch

    settings, seed = job.settings(fraction), head_seed(draw, fraction)
    # Before the model is built: the seed decides its initial weights.
    torch.manual_seed(seed)
    model = make(settings)
    validation = job.predicted[0][1]
    if settings.iterations is None:
        reason = job.task.unjudged(validation, settings.monitor)
        if reason:
            return None, reason

    def judge(trained: Any) -> float:
        if settings.monitor == "loss":
            return job.task.validation_loss(trained, validation)
        return -job.task.validation_score(trained, validation)

    batch = _batches(job, settings, seed)
    train_head(model, rows, batch, settings, seed=seed, folder=folder, judge=judge)
    # Infinite weights give empty masks and no boxes, which would pass for a result.
    if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
        return None, f"training diverged at learning rate {settings.learning_rate:g}"
    return job.predict(model).assign(draw=draw, fraction=fraction), None


def _batches(job: Job, settings: Settings, seed: int) -> Make:
    """Return what makes batches of training: of kept features, or of views that are encoded."""
    import torch

    task, tuned = job.task, job.asked.adapts == "tuned"
    if settings.augment == "none":
        return lambda rows, _: task.batch(rows)
    films = np.load(job.asked.manifest.with_suffix(".images.npy"), "r", allow_pickle=False)
    container = [int(row) for row in task.frame["row"]]
    sides = (task.size, round(task.size * settings.zoom))
    policy, rest = POLICIES[settings.augment], (seed, job.device)
    views = TrainingViews(films, container, job.encoder, policy, *sides, *rest)

    @torch.no_grad()
    def make(rows: list[int], visits: list[int]) -> dict[str, Any]:
        seen, places = views.draw(rows, visits)
        inputs = seen if tuned else _features(job.encoder(seen), task.features.levels)
        return {"inputs": inputs, "data_samples": task.view_samples(rows, places)}

    return make


def _features(of: "ImageFeatures", levels: Sequence[int]) -> Any:
    return tuple(of.maps[level] for level in levels) if levels else of.pooled


def build(job: Job, settings: Settings, fraction: int) -> Any:
    """Build the head's model on the job's device.

    Raises:
        UserError: a setting of the head does not fit the encoder's features or the batch.
    """
    import torch

    kept, options = job.task.features, job.head_options(fraction)
    if settings.batch == 1 and options.get("standardise") and not kept.levels:
        raise UserError(
            "batch=1: one pooled feature has no variance to be standardised by; take a larger "
            "batch, or standardise false"
        )
    shape = feature_shape(job.encoder, kept.levels, job.task.size)
    with quiet():
        model = registry.find("heads", job.asked.head)(shape, len(job.task.labels), **options)
    if kept.levels and kept.maps is None:
        model.backbone.attach(job.encoder, kept.levels)
    return model.to(job.device, memory_format=torch.channels_last)


def _levels_of_other_heads(rules: Protocol, task: str, family: str, zoom: float) -> list[int]:
    """Return the map levels of the protocol's heads that see the images at the same scale."""
    heads = [
        of.get(family)
        for other, of in rules.heads.items()
        if other == task or (other in rules.settings and rules.settings[other].zoom == zoom)
    ]
    levels = (registry.constant("heads", head, "LEVELS").get(family, ()) for head in heads if head)
    return sorted({level for each in levels for level in each})
