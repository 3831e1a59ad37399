"""The pre-training loop: AdamW with warm-up and cosine, exact resume, no host sync in a step."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from sista.budgets import Budget
from sista.engine.corpus import Batch, Pairs, augment, centre, token_batch
from sista.engine.diagnostics import geometry, token_gradients
from sista.engine.interface import Objective
from sista.engine.model import PretrainModel
from sista.engine.randomness import permutation
from sista.engine.views import Views, two_views
from sista.files import atomic
from sista.progress import track
from sista.reports.similarity import similarity
from sista.reports.vocabulary import TokenTable


@dataclass(frozen=True)
class Source:
    """One subset of the corpus, ready for batches."""

    pairs: Pairs
    tokens: TokenTable | None
    vectors: sparse.csr_matrix | None

    def __len__(self) -> int:
        """Return the number of studies."""
        return len(self.pairs.frame)

    def batch(
        self, rows: NDArray[np.int64], views: Views, device: torch.device, policy: Tensor
    ) -> Batch:
        """Put the parts of a batch on the device.

        Args:
            rows: studies.
            views: of their images.
            device: of the model.
            policy: `[N, C]` labels after the policy for uncertain ones.
        """
        tokens = token_batch(self.tokens, rows, device)
        alike = torch.empty(0)
        if self.vectors is not None:
            alike = torch.from_numpy(similarity(self.vectors, rows))
        number = torch.from_numpy(rows)
        second, boxes = (None if v is None else v.to(device, non_blocking=True) for v in views[1:])
        return Batch(
            views.first.to(device, non_blocking=True),
            *tokens,
            labels=policy[number].to(device),
            similarity=alike.to(device),
            rows=number.to(device),
            second=second,
            boxes=boxes,
            normal=torch.from_numpy(self.pairs.normal[rows]).to(device),
        )


class Trainer:
    """Trains a model with an objective for a budget.

    Args:
        model: what is trained.
        objective: gives the loss; its own parameters are trained too.
        budget: length and optimiser.
        seed: decides order, augmentation and dropout.
        device: where it runs.
    """

    def __init__(
        self,
        model: PretrainModel,
        objective: Objective,
        budget: Budget,
        seed: int,
        device: torch.device,
    ) -> None:
        self.budget = budget
        self.seed = seed
        self.device = device
        precision = budget.precision if device.type == "cuda" else "no"
        self.accelerator = Accelerator(mixed_precision=precision, cpu=device.type == "cpu")
        self.model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = objective.to(device)
        self.optimiser = torch.optim.AdamW(
            _groups(model, objective, budget.weight_decay), lr=budget.learning_rate
        )
        self.epoch = 0
        self.log: list[dict[str, float]] = []

    def fit(
        self, train: Source, val: Source, resume: Path, identity: str = ""
    ) -> list[dict[str, float]]:
        """Train all epochs, go on from `resume` where it exists, and return the log.

        Args:
            train: training studies.
            val: validation studies, for the log only.
            resume: state file, written after every epoch.
            identity: of settings, data and code; a state of another identity is not used.
        """
        self.objective.prepare(len(train))
        self.objective.calibrate(train.vectors)
        self._load(resume, identity)
        steps = max(len(train) // self.budget.batch, 1)
        labels, val_labels = known_labels(train.pairs), known_labels(val.pairs)
        epochs = range(self.epoch, self.budget.epochs)
        for epoch in track(epochs, "pre-training epochs"):
            started = time.perf_counter()
            parts = self._train_epoch(train, labels, epoch, steps)
            spent = time.perf_counter() - started
            entry = {
                "epoch": float(epoch + 1),
                "learning_rate": self._rate((epoch + 1) * steps - 1, steps),
            }
            entry |= parts | self.validate(val, val_labels) | {"seconds": spent}
            self.log.append(entry)
            self.epoch = epoch + 1
            self._save(resume, identity)
        return self.log

    def _train_epoch(
        self, train: Source, labels: Tensor, epoch: int, steps: int
    ) -> dict[str, float]:
        self.objective.before_epoch(lambda: self.embed(train), epoch / self.budget.epochs)
        self.model.train()
        self.objective.train()
        order = permutation(self.seed, epoch, len(train))
        history: list[dict[str, Tensor]] = []
        for step in range(steps):
            rows = order[step * self.budget.batch : (step + 1) * self.budget.batch]
            number = epoch * steps + step
            # Dropout too depends on (seed, step) only.
            torch.manual_seed(self.seed * 1_000_003 + number)
            for group in self.optimiser.param_groups:
                factor = self.budget.temperature_rate if group["role"] == "temperature" else 1.0
                group["lr"] = factor * self._rate(number, steps)
            views = self._views(train, rows, epoch)
            batch = train.batch(rows, views, self.device, labels)
            history.append(self._step(batch, (number + 1) / (steps * self.budget.epochs)))
        return _means(history)

    def _views(self, source: Source, rows: NDArray[np.int64], epoch: int) -> Views:
        side, policy = self.model.image.size, self.objective.needs.views
        form: dict[str, Any] = {"side": side, "seed": self.seed, "epoch": epoch}
        if policy is not None:
            return two_views(source.pairs.images, rows, policy=policy, **form)
        return Views(augment(source.pairs.images, rows, flip=self.budget.flip, **form))

    def _step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        with self.accelerator.autocast():
            parts = self.objective(self.model(batch))
        self.accelerator.backward(parts["loss"])
        nn.utils.clip_grad_norm_(self.model.parameters(), self.budget.clip_gradient)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.objective.after_step(self.model, progress)
        return {name: value.detach() for name, value in parts.items()}

    def _rate(self, number: int, steps: int) -> float:
        total = steps * self.budget.epochs
        warm = max(int(self.budget.warmup * total), 1)
        if number < warm:
            return self.budget.learning_rate * (number + 1) / warm
        share = (number - warm) / max(total - warm, 1)
        return self.budget.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))

    @torch.no_grad()
    def validate(self, val: Source, labels: Tensor) -> dict[str, float]:
        """Return the loss parts on the validation studies, and diagnostics.

        The gradients at the image tokens are of the first batch.
        """
        history: list[dict[str, Tensor]] = []
        gradients: dict[str, Tensor] = {}
        for batch in self.batches(val, labels):
            e = self.model(batch)
            parts = {f"val_{k}": v for k, v in self.objective(e).items()}
            parts |= {f"val_{k}": v for k, v in self.objective.diagnostics(e).items()}
            history.append(parts | geometry(e))
            gradients = gradients or token_gradients(self.model, self.objective, batch)
        return _means(history) | {name: float(value) for name, value in gradients.items()}

    def batches(self, source: Source, labels: Tensor) -> Iterator[Batch]:
        """Yield the studies in order, the model in eval mode, without augmentation.

        Two views are drawn as for training, always the same ones.
        """
        self.model.eval()
        self.objective.eval()
        size = self.budget.batch
        for start in range(0, max(len(source) - size // 2, 1), size):
            rows = np.arange(start, min(start + size, len(source)))
            views = Views(centre(source.pairs.images, rows, self.model.image.size))
            if self.objective.needs.views is not None:
                views = self._views(source, rows, 0)
            yield source.batch(rows, views, self.device, labels)

    @torch.no_grad()
    def embed(self, source: Source) -> Tensor:
        """Return the projected global features `[N, D]` of all images, without augmentation."""
        self.model.eval()
        parts = []
        for rows in np.array_split(np.arange(len(source)), -(-len(source) // self.budget.batch)):
            images = centre(source.pairs.images, rows, self.model.image.size)
            parts.append(self.model.embed_images(images.to(self.device)))
        return torch.cat(parts)

    def _save(self, path: Path, identity: str) -> None:
        state = {
            "identity": identity,
            "epoch": self.epoch,
            "log": self.log,
            "model": self.model.state_dict(),
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        with atomic(path) as temporary:
            torch.save(state, temporary)

    def _load(self, path: Path, identity: str) -> None:
        if not path.is_file():
            return
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        if state["identity"] != identity:
            return
        self.epoch = state["epoch"]
        self.log = state["log"]
        self.model.load_state_dict(state["model"])
        self.objective.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])


def known_labels(pairs: Pairs) -> Tensor:
    """Return training labels `[N, C]`, 1/0/NaN.

    Uncertain counts as present; what is not mentioned as absent where the study has any label.
    """
    labels = np.where(pairs.labels == -1, 1.0, pairs.labels)
    some = ~np.isnan(labels).all(axis=1, keepdims=True)
    return torch.from_numpy(np.where(np.isnan(labels) & some, 0.0, labels)).float()


def _groups(model: nn.Module, objective: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return parameter groups: matrices are decayed, biases and norms not, temperatures apart."""
    every = [p for m in (model, objective) for p in m.parameters() if p.requires_grad]
    return [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": decay, "role": "matrix"},
        {"params": [p for p in every if p.ndim == 1], "weight_decay": 0.0, "role": "vector"},
        {"params": [p for p in every if p.ndim == 0], "weight_decay": 0.0, "role": "temperature"},
    ]


def _means(history: list[dict[str, Tensor]]) -> dict[str, float]:
    """Return the mean of each part over an epoch: the only transfer from the device."""
    if not history:
        return {}
    return {
        name: float(torch.stack([h[name].float() for h in history]).mean()) for name in history[0]
    }
