"""The pre-training loop: AdamW with warm-up and cosine, exact resume, no host sync in a step."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sista.engine.batches import Batch
from sista.engine.buckets import Buckets
from sista.engine.compiled import as_compiled, begin_step, compile_encoders, told_once
from sista.engine.distributed import Ranks, synchronised
from sista.engine.gradients import Differentiator
from sista.engine.health import check_finite
from sista.engine.interface import Objective, Temperature
from sista.engine.machine import Mode
from sista.engine.model import PretrainModel
from sista.engine.parameters import parameter_groups
from sista.engine.randomness import permutation
from sista.engine.sources import Source, known_labels
from sista.engine.state import Interrupted, Progress, Saving, StateFile, StopSignals, means
from sista.engine.validation import validate
from sista.engine.views import Views, augment, centre, two_views
from sista.grid.budgets import Budget
from sista.runs.feeding import fed
from sista.runs.progress import track

SAVE_EVERY = 500


class Trainer:
    """Trains a model with an objective for a budget.

    Args:
        model: what is trained.
        objective: gives the loss; its own parameters are trained too.
        budget: length and optimiser.
        seed: decides order, augmentation and dropout.
        device: where it runs.
        ranks: the processes that share each contrastive batch.
        mode: how the device is used; None = as suits it, nothing compiled.
    """

    def __init__(
        self,
        model: PretrainModel,
        objective: Objective,
        budget: Budget,
        seed: int,
        device: torch.device,
        ranks: Ranks | None = None,
        mode: Mode | None = None,
    ) -> None:
        self.mode = mode or Mode.of(device.type)
        self.budget = budget
        self.seed = seed
        self.device = device
        self.ranks = ranks or Ranks()
        for encoder in (model.image, getattr(model, "target", None)):
            if encoder is not None:
                synchronised(encoder, self.ranks, device)
        self.model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = objective.to(device)
        if self.mode.compiled:
            compile_encoders(model, self.mode)
        # Fused: one call for all parameters, and no read of the step counters on the host.
        groups = parameter_groups(model, objective, budget.weight_decay)
        self.optimiser = torch.optim.AdamW(groups, lr=budget.learning_rate, fused=True)
        self.scaler = torch.amp.GradScaler(device.type, enabled=budget.precision == "fp16")
        buckets = Buckets(self.ranks, self.model, self.objective)
        self.differentiate = Differentiator(
            self.model, self.objective, self.ranks, device, budget.precision, buckets
        )
        self.temperatures = [m for m in objective.modules() if isinstance(m, Temperature)]
        self.progress = Progress()
        self._fresh = True

    def fit(
        self,
        train: Source,
        val: Source,
        resume: Path,
        identity: str = "",
        save_every: int = SAVE_EVERY,
    ) -> list[dict[str, float]]:
        """Train, go on from `resume` where it exists, and return the log.

        Args:
            train: training studies.
            val: validation studies, for the log and for early stopping.
            resume: state file.
            identity: of settings, data and code; a state of another identity is not used.
            save_every: steps after which the state is saved, besides each epoch's end.

        Raises:
            Interrupted: SIGTERM or SIGUSR1 came; the state is saved.
        """
        # Before the state is read: it needs buffers of its shape, and has the last word on cuts.
        self.objective.prepare(len(train))
        self.objective.calibrate(train.vectors)
        state = self.state_file(resume, identity)
        self.progress = state.load(self.device)
        # The first process may only delete the state at the end, when all have read it.
        self.ranks.from_first(None)
        labels, val_labels = known_labels(train.pairs), known_labels(val.pairs)
        with StopSignals() as signals:
            for epoch in self._epochs():
                self._train_epoch(train, labels, epoch, Saving(state, signals, save_every))
                self._end_epoch(epoch, self._steps(train), self._validated(val, val_labels), state)
                self._stop_where_asked(state, signals)
        # Without any finite loss no epoch was kept as the best one.
        if self.budget.patience and self.ranks.first and math.isfinite(self.progress.best):
            state.take_best(self.device)
        return self.progress.log

    def state_file(self, path: Path, identity: str = "") -> StateFile:
        """Return where the state of this run is kept."""
        parts = {
            "model": self.model,
            "objective": self.objective,
            "optimiser": self.optimiser,
            "scaler": self.scaler,
        }
        return StateFile(path, identity, parts)

    def _epochs(self) -> Iterator[int]:
        epochs = range(self.progress.epoch, self.budget.epochs)
        for epoch in track(epochs, "pre-training epochs") if self.ranks.first else epochs:
            if self.budget.patience and self.progress.stale >= self.budget.patience:
                return
            yield epoch

    def _steps(self, train: Source) -> int:
        # What is left of an epoch is no batch: fewer pairs are fewer negatives. The next epoch, in
        # its own order, leaves out other studies.
        return max(len(train) // self.budget.batch, 1)

    def _train_epoch(self, train: Source, labels: Tensor, epoch: int, saving: Saving) -> None:
        progress, steps = self.progress, self._steps(train)
        if progress.step == 0:
            self.objective.before_epoch(lambda: self.embed(train), epoch / self.budget.epochs)
        self.model.train()
        self.objective.train()
        # By seed and epoch alone: a resumed run meets the same batches.
        order = permutation(self.seed, epoch, len(train))
        started = time.perf_counter() - progress.seconds

        def made(step: int) -> tuple[list[Batch], Tensor]:
            rows = order[step * self.budget.batch : (step + 1) * self.budget.batch]
            return self.chunks(train, rows, epoch, labels), train.alike(rows, self.device)

        numbers = range(progress.step, steps)
        with closing(fed(made, numbers, self.device, self.mode.ahead)) as batches:
            for step, (chunks, alike) in zip(numbers, batches, strict=True):
                number = epoch * steps + step
                # By the number of the step alone, so that a schedule has no state to resume.
                for group in self.optimiser.param_groups:
                    factor = self.budget.temperature_rate if group["role"] == "temperature" else 1.0
                    group["lr"] = factor * self._rate(number, steps)
                with told_once(self.mode, self._fresh and self.ranks.first):
                    parts = self.step(chunks, alike, number)
                self._fresh = False
                self.objective.after_step(self.model, (number + 1) / (steps * self.budget.epochs))
                progress.history.append(parts)
                progress.step, progress.seconds = step + 1, time.perf_counter() - started
                if step + 1 < steps:
                    if progress.step % saving.every == 0 and self.ranks.first:
                        check_finite(progress.history, epoch, steps, self.budget)
                        saving.state.save(progress)
                    self._stop_where_asked(saving.state, saving.signals)

    def chunks(
        self, source: Source, rows: NDArray[np.int64], epoch: int, labels: Tensor
    ) -> list[Batch]:
        """Return this process's share of a contrastive batch, cut into what is embedded at once."""
        own = rows[self.ranks.share(len(rows))]
        size = self.budget.chunk or len(own)
        parts = (own[start : start + size] for start in range(0, len(own), size))
        form: dict[str, Any] = {"among": rows, "packed": self.mode.packed}
        return [
            source.batch(part, self._views(source, part, epoch), self.device, labels, **form)
            for part in parts
        ]

    def step(self, chunks: list[Batch], alike: Tensor, number: int) -> dict[str, Tensor]:
        """Move the parameters once and return the scalar parts of the loss.

        Args:
            chunks: this process's share of the contrastive batch.
            alike: `[B, B]` inter-report similarity of the whole contrastive batch, or empty.
            number: of the step in the whole run.
        """
        begin_step(self.model, self.mode)
        # A prime apart: two runs share a seed of dropout only after a million steps.
        seed = self.seed * 1_000_003 + number
        parts = self.differentiate(chunks, alike, self.scaler, seed)
        # Before clipping, whose limit is for the true gradient. Without fp16 it does nothing.
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.budget.clip_gradient)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        for temperature in self.temperatures:
            temperature.keep_inside()
        return parts

    def _end_epoch(
        self, epoch: int, steps: int, validation: dict[str, float], state: StateFile
    ) -> None:
        progress = self.progress
        check_finite(progress.history, epoch, steps, self.budget)
        entry = {"epoch": epoch + 1.0, "learning_rate": self._rate((epoch + 1) * steps - 1, steps)}
        entry |= means(progress.history) | validation | {"seconds": progress.seconds}
        # NaN is in no order: an epoch that diverged is never the best, and counts as stale.
        better = validation["val_loss"] < progress.best
        progress.best = validation["val_loss"] if better else progress.best
        progress.stale = 0 if better else progress.stale + 1
        progress.log.append(entry)
        progress.epoch, progress.step, progress.seconds = epoch + 1, 0, 0.0
        progress.history = []
        if self.ranks.first:
            # First the weights, then the state: killed between the two, the epoch is trained again
            # and writes the same weights.
            if self.budget.patience and better:
                state.keep_best()
            state.save(progress)

    def _stop_where_asked(self, state: StateFile, signals: StopSignals) -> None:
        if not self.ranks.any(signals.asked):
            return
        if self.ranks.first:
            state.save(self.progress)
        # Nobody ends before the state is written: the launcher would kill the others.
        self.ranks.from_first(None)
        raise Interrupted

    def _views(self, source: Source, rows: NDArray[np.int64], epoch: int) -> Views:
        side, policy = self.model.image.size, self.objective.needs.views
        form: dict[str, Any] = {"side": side, "seed": self.seed, "epoch": epoch}
        form["device"] = self.device
        if policy is not None:
            return two_views(source.pairs.images, rows, policy=policy, **form)
        return Views(augment(source.pairs.images, rows, flip=self.budget.flip, **form))

    def _rate(self, number: int, steps: int) -> float:
        total = steps * self.budget.epochs
        warm = max(int(self.budget.warmup * total), 1)
        if number < warm:
            return self.budget.learning_rate * (number + 1) / warm
        share = (number - warm) / max(total - warm, 1)
        return self.budget.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))

    def _validated(self, val: Source, labels: Tensor) -> dict[str, float]:
        losses: dict[str, float] = {}
        # Whole batches, so one process can do it; the others take over its numbers.
        if self.ranks.first:
            with as_compiled(self.mode):
                losses = validate(self.differentiate, self.batches(val, labels), self.budget.chunk)
        return self.ranks.from_first(losses)

    def batches(self, source: Source, labels: Tensor) -> Iterator[Batch]:
        """Yield the studies in order, the model in eval mode, without augmentation.

        Two views are drawn as for training, always the same ones.
        """
        self.model.eval()
        self.objective.eval()
        size = self.budget.batch
        # Without a last batch of less than half the size: with few negatives it is another loss.
        for start in range(0, max(len(source) - size // 2, 1), size):
            rows = np.arange(start, min(start + size, len(source)))
            side = self.model.image.size
            views = Views(centre(source.pairs.images, rows, side, self.device))
            if self.objective.needs.views is not None:
                views = self._views(source, rows, 0)
            yield source.batch(rows, views, self.device, labels, packed=self.mode.packed)

    @torch.no_grad()
    def embed(self, source: Source) -> Tensor:
        """Return the projected global features `[N, D]` of all images, without augmentation."""
        self.model.eval()
        parts = []
        for rows in np.array_split(np.arange(len(source)), -(-len(source) // self.budget.batch)):
            images = centre(source.pairs.images, rows, self.model.image.size, self.device)
            with as_compiled(self.mode):
                parts.append(self.model.embed_images(images))
        return torch.cat(parts)
