"""One trial of a pre-training regime: train with some settings replaced, probe on validation.

Nothing here reads a test image: the head's job is told to predict validation images alone.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.regime.variations import VARIATIONS
from sista import registry
from sista.encoders.checkpoint import save_checkpoint
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec, encoder_spec
from sista.engine import pairs
from sista.engine.corpus import Corpus
from sista.engine.films import Films
from sista.engine.health import TOLD_APART, left_at
from sista.engine.loop import Trainer
from sista.engine.model import PretrainModel
from sista.engine.sources import known_labels, load_sources
from sista.files import digest
from sista.grid.budgets import BUDGETS, Budget
from sista.stages.adapt import adapt

CORPUS, LABELLED = "mimic_cxr@phantom", "chexpert@phantom"


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Attributes:
        name: of the idea, for the reader of the trail.
        method: word of a method.
        encoder: word of an encoder.
        seed: of initial weights, order and augmentation.
        plan: fields of the budget `quick` that are replaced.
        spec: fields of the encoder that are replaced.
        settings: of the method.
        vary: variations that are no field, with their values; see `variations`.
        until: epochs to train at most, whatever the schedule is for; 0 = all.
        draws: label draws of the probe; none = not probed.
        fractions: percent of the labels.
    """

    name: str
    method: str = "clip"
    encoder: str = "resnet_tiny"
    seed: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    vary: Mapping[str, Any] = field(default_factory=dict)
    until: int = 0
    draws: tuple[int, ...] = (0, 1, 2, 3, 4)
    fractions: tuple[int, ...] = (10, 100)

    @property
    def budget(self) -> Budget:
        """Return the budget as it is tried."""
        return replace(BUDGETS["quick"], **self.plan)

    @property
    def image(self) -> EncoderSpec:
        """Return the image encoder as it is tried."""
        return replace(encoder_spec(self.encoder), **self.spec)

    @property
    def key(self) -> str:
        """Return a hash of what decides the numbers, defaults included; the name does not."""
        resolved = {"plan": asdict(self.budget), "spec": asdict(self.image), "name": ""}
        return digest(asdict(self) | resolved)


class Watched(Trainer):
    """A trainer that stops early and keeps what each step's gradient was."""

    until = 0

    def step(self, chunks: Any, alike: Tensor, number: int) -> dict[str, Tensor]:
        """Add the norm of the gradient before it is clipped to the parts that are logged."""
        norms: list[Tensor] = []
        original = torch.nn.utils.clip_grad_norm_

        def clip(parameters: Any, most: float) -> Tensor:
            norms.append(original(parameters, most))
            return norms[-1]

        with patch.object(torch.nn.utils, "clip_grad_norm_", clip):
            parts = super().step(chunks, alike, number)
        parts["gradient"] = norms[-1]
        scale = getattr(self.objective, "temperature", None)
        if isinstance(scale, torch.nn.Module):
            parts["temperature"] = scale().detach()
        return parts

    def _epochs(self) -> Iterator[int]:
        for epoch in super()._epochs():
            if self.until and epoch >= self.until:
                return
            yield epoch


_read_images = pairs.read_images


@cache
def _read_once(container: Path, rows: bytes, size: int) -> Films:
    return _read_images(container, np.frombuffer(rows, np.int64), size)


def run(trial: Trial, prepared: Path) -> dict[str, Any]:
    """Train and probe, and return what there is to know.

    Args:
        trial: what to do.
        prepared: folder of the prepared phantom data sets.
    """
    changes = (VARIATIONS[word](value) for word, value in trial.vary.items())
    with ExitStack() as stack, TemporaryDirectory() as folder:
        reader = lambda c, r, s: _read_once(c, np.asarray(r, np.int64).tobytes(), s)  # noqa: E731
        stack.enter_context(patch.object(pairs, "read_images", reader))
        for change in changes:
            stack.enter_context(change)
        torch.manual_seed(trial.seed)
        objective = registry.find("methods", trial.method)(**trial.settings)
        encoder = ImageEncoder(trial.image)
        found: dict[str, Any] = {}
        if objective.needs.trained:
            found = _train(trial, objective, encoder, prepared, Path(folder))
        if trial.draws:
            begun = time.process_time()
            facts = {
                **dict.fromkeys(("variant", "method", "corpus"), "trial"),
                "settings": {},
                **{"word": encoder.word, "family": encoder.family, "seed": trial.seed},
                **{"budget": "quick", "image_encoder": encoder.description()},
            }
            save_checkpoint(Path(folder) / "encoder.safetensors", {"image": encoder}, facts)
            found |= _probe(trial, prepared, Path(folder))
            found["probe_seconds"] = round(time.process_time() - begun, 1)
    return found


def _train(
    trial: Trial, objective: Any, encoder: ImageEncoder, prepared: Path, folder: Path
) -> dict[str, Any]:
    manifest = prepared / CORPUS / "manifest.parquet"
    plan = trial.budget
    begun = time.process_time()
    data = load_sources(
        Corpus(manifest, manifest.with_suffix(".split.parquet")),
        side=encoder.size,
        needs=objective.needs,
        budget=plan,
        text=encoder.spec.text,
    )
    loading = time.process_time() - begun
    model = PretrainModel(encoder, data.text, objective.needs, len(data.train.pairs.label_names))
    model.start_at(known_labels(data.train.pairs))
    begun = time.process_time()
    trainer = Watched(model, objective, plan, trial.seed, torch.device("cpu"))
    trainer.until = trial.until
    log = trainer.fit(data.train, data.val, folder / "resume.safetensors")
    columns = {k: [round(line.get(k, math.nan), 4) for line in log] for k in log[-1]}
    return {
        "seconds": round(time.process_time() - begun, 1),
        "load_seconds": round(loading, 1),
        "steps": len(data.train) // plan.batch * len(log),
        "batch": plan.batch,
        "epochs": plan.epochs,
        "log": columns,
    } | departure(columns, plan.epochs, plan.batch)


def departure(log: Mapping[str, list[float]], epochs: int, batch: int) -> dict[str, Any]:
    """Return when the plateau was left, as a share of the budget; None = never.

    `left_loss`: validation loss 0.25 below ln B, for objectives that contrast over the batch;
    `left_pairs`: see `sista.engine.health`.
    """
    return {
        "left_loss": left_at(log["val_loss"], lambda v: v < math.log(batch) - 0.25, epochs),
        "left_pairs": left_at(log.get("pair_auroc", []), lambda v: v > TOLD_APART, epochs),
    }


def _probe(trial: Trial, prepared: Path, folder: Path) -> dict[str, Any]:
    manifest, out = prepared / LABELLED / "manifest.parquet", folder / "predictions.parquet"
    try:
        adapt(
            protocol="quick_v1",
            dataset=LABELLED,
            head="linear",
            manifest=manifest,
            split=manifest.with_suffix(".split.parquet"),
            encoder=folder / "encoder.safetensors",
            out=out,
            draws=list(trial.draws),
            fractions=list(trial.fractions),
            device="cpu",
        )
    finally:
        torch.set_deterministic_debug_mode("default")
    # The stage predicts test images too; they are dropped here, before anything is computed.
    found = pd.read_parquet(out, filters=[("subset", "==", "val")])
    return {
        f"auroc_{fraction}": [
            _auroc(found[(found["draw"] == draw) & (found["fraction"] == fraction)])
            for draw in trial.draws
        ]
        for fraction in trial.fractions
    }


def _auroc(predictions: pd.DataFrame) -> float:
    """Return the mean over labels, in percent."""
    scores = [
        roc_auc_score(part["target"], part["score"])
        for _, part in predictions.dropna(subset="target").groupby("label")
        if part["target"].nunique() == 2
    ]
    return round(100 * float(np.mean(scores)), 2)


@contextmanager
def determinism() -> Iterator[None]:
    """Compute as the stage `pretrain` does."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    yield
    torch.use_deterministic_algorithms(False)
