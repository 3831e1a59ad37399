"""One head trained on mmengine's Runner: by iterations, or by epochs with early stopping."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook, ParamSchedulerHook
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.optim import CosineAnnealingLR, OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from sista.files import digest
from sista.openmmlab.hooks import EarlyStopping, KeptState
from sista.openmmlab.loading import quiet
from sista.protocols._base import Settings

Batch = dict[str, Any]
STATE = "state.safetensors"
Make = Callable[[list[int], list[int]], Batch]


@dataclass
class ShuffledBatches:
    """Endless epochs in random order, cut into batches; the order depends on the seed only.

    Attributes:
        rows: what is drawn from.
        make: turns rows into what the model takes; told too how often each was drawn before.
        size: rows in a batch.
        seed: of the order.
        iterations: batches of one pass; None = one epoch a pass, the last batch may be smaller.
        most: batches of an epoch at most; 0 = all.
        drop_last: leave a smaller last batch out, if there is a full one.
        dataset: what mmengine asks for its meta information.
    """

    rows: Sequence[int]
    make: Make
    size: int
    seed: int
    iterations: int | None = None
    most: int = 0
    drop_last: bool = False
    dataset: Any = None
    passes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.dataset = _NoMeta()

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.size)
        epoch = full + (rest > 0 and not (self.drop_last and full))
        return self.iterations or min(epoch, self.most or epoch)

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.passes)
        visit = self.passes
        self.passes += 1
        left: list[tuple[int, int]] = []
        for _ in range(len(self)):
            while len(left) < self.size and (self.iterations or not left):
                order = torch.randperm(len(self.rows), generator=generator).tolist()
                left += [(self.rows[i], visit) for i in order]
                visit += 1
            batch, left = left[: self.size], left[self.size :]
            yield self.make([row for row, _ in batch], [earlier for _, earlier in batch])


class _NoMeta:
    """A data set as far as mmengine's loops look at it."""

    metainfo: dict[str, Any]

    def __init__(self) -> None:
        self.metainfo = {}


class PassThrough(BaseDataPreprocessor):  # type: ignore[misc]
    """Moves inputs to the device; on the CPU it leaves the prepared samples alone."""

    def forward(self, data: Batch, training: bool = False) -> Batch:
        """Return the batch on the device."""
        return data if self.device.type == "cpu" else self.cast_data(data)


class LeanRunner(Runner):  # type: ignore[misc]
    """mmengine's Runner without its log files, environment report, visualiser and default hooks.

    These cost more than the training of a small head. mmengine keeps runs by name for the life of
    the process; `forget` takes this one out.
    """

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Leave process settings (threads, file limits, start method) as they are."""
        self._rank, self._world_size = get_dist_info()
        self._timestamp = "run"

    def build_logger(self, *_args: Any, **_kwargs: Any) -> MMLogger:
        """Return a logger without a file."""
        return MMLogger.get_instance(self._experiment_name, log_level="ERROR")

    def build_visualizer(self, visualizer: Any = None) -> SimpleNamespace:
        """Return something that the loops can tell about the data; a real one imports plots."""
        return SimpleNamespace(dataset_meta=None)

    def register_default_hooks(self, hooks: Any = None) -> None:
        """Register none."""

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        """Report nothing."""

    def dump_config(self) -> None:
        """Write nothing."""

    def load_or_resume(self) -> None:
        """Go on from a state of ours; mmengine's checkpoints, which are pickles, are not read."""
        for hook in self.hooks:
            if isinstance(hook, KeptState):
                hook.take_over(self)

    def forget(self) -> None:
        """Drop the run from mmengine's global tables."""
        for kept in (MMLogger, MessageHub, DefaultScope):
            kept._instance_dict.pop(self._experiment_name, None)


def train_head(
    model: BaseModel,
    rows: Sequence[int],
    make: Make,
    settings: Settings,
    *,
    seed: int,
    folder: Path,
    judge: Callable[[nn.Module], float] | None = None,
) -> BaseModel:
    """Train `model` in place and return it in eval mode.

    Args:
        model: its trainable parameters are the head's, or its `parameter_groups` say more.
        rows: rows of the training images.
        make: turns rows into a batch (`inputs`, `data_samples`); see `ShuffledBatches`.
        settings: of the protocol: optimiser and length.
        seed: of initial weights and order.
        folder: for the state of a training by epochs; resumed from if there is one, removed at the
            end.
        judge: validation value of the model, lower is better; needed for training by epochs.
    """
    by_epochs = settings.iterations is None
    length = (settings.iterations, settings.most_steps, settings.drop_last)
    batches = ShuffledBatches(rows, make, settings.batch, seed, *length)
    hooks: list[Hook] = [ParamSchedulerHook()] if settings.cosine and not by_epochs else []
    if by_epochs:
        if judge is None:
            raise ValueError("training by epochs needs a judge")
        stopping = EarlyStopping(judge, settings.patience)
        hooks += [
            stopping,
            KeptState(folder / STATE, _identity(model, rows, settings, seed), stopping),
        ]
    with quiet():
        runner = _runner(model, batches, settings, hooks, seed, folder)
        try:
            runner.train()
        finally:
            runner.forget()
    shutil.rmtree(folder, ignore_errors=True)
    return model.eval()


def _identity(model: BaseModel, rows: Sequence[int], settings: Settings, seed: int) -> str:
    """Name what decides a training, as far as it is known here."""
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    return digest([shapes, list(rows), asdict(settings), seed])


def _runner(
    model: BaseModel,
    batches: ShuffledBatches,
    settings: Settings,
    hooks: list[Hook],
    seed: int,
    folder: Path,
) -> LeanRunner:
    trained: list[Any] = [p for p in model.parameters() if p.requires_grad]
    if hasattr(model, "parameter_groups"):
        trained = list(model.parameter_groups())
    optimizer = torch.optim.AdamW(
        trained, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    clip = {"max_norm": settings.clip_gradient} if settings.clip_gradient else None
    length: dict[str, Any] = {"by_epoch": False, "max_iters": settings.iterations}
    if settings.iterations is None:
        length = {"by_epoch": True, "max_epochs": settings.epochs}
    schedule = None
    if any(isinstance(hook, ParamSchedulerHook) for hook in hooks):
        schedule = [CosineAnnealingLR(optimizer, T_max=settings.iterations, by_epoch=False)]
    return LeanRunner(
        model,
        work_dir=str(folder),
        train_dataloader=batches,
        train_cfg=length,
        optim_wrapper=OptimWrapper(optimizer, clip_grad=clip),
        param_scheduler=schedule,
        custom_hooks=hooks,
        randomness={"seed": seed},
        experiment_name=str(folder),
        cfg=Config(),
    )
