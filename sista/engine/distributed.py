"""Several processes of one run (`torchrun`): their embeddings together, their gradients summed.

Each process embeds its share of the contrastive batch, then every process computes the whole loss.
So any objective sees all negatives, and needs no distributed form of its own.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sista.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes of a run.

    Attributes:
        rank: number of this process.
        count: number of processes.
        host: group for values on the host; None where there is one process.
    """

    rank: int = 0
    count: int = 1
    host: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, pairs: int) -> slice:
        """Return which pairs of a contrastive batch this process embeds.

        Raises:
            UserError: the batch cannot be divided.
        """
        if pairs % self.count:
            raise UserError(
                f"a contrastive batch of {pairs} pairs cannot be divided among {self.count} "
                "processes; choose --nproc-per-node so that it can"
            )
        each = pairs // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def gather(self, parts: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return the rows of all processes, `[count * B, ...]`, with the gradient of the own ones.

        All processes give tensors of the same shapes, which are sent together. Values on the host
        stay there.
        """
        if self.count == 1:
            return list(parts)
        given = [part for part in parts if part is not None]
        rows = iter(_Gather.apply(self, *given))  # type: ignore[no-untyped-call]
        return [None if part is None else next(rows) for part in parts]

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        if self.count == 1:
            return flag
        # A signal reaches the processes in different steps, but all must leave after the same one:
        # who goes on alone waits for the others' gradients forever.
        box = torch.tensor([int(flag)])
        dist.all_reduce(box, dist.ReduceOp.MAX, group=self.host)
        return bool(box[0])

    def from_first(self, value: T) -> T:
        """Return the value that the first process has: None, numbers and texts by their names."""
        if self.count == 1:
            return value
        # As JSON, which keeps a number's bits: torch would send a pickle.
        text = json.dumps(value).encode()
        size = torch.tensor([len(text)])
        dist.broadcast(size, src=0, group=self.host)
        # What the others have is overwritten.
        data = torch.frombuffer(bytearray(text.ljust(int(size))[: int(size)]), dtype=torch.uint8)
        dist.broadcast(data, src=0, group=self.host)
        told: T = json.loads(data.numpy().tobytes())
        return told


@contextmanager
def processes(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started; one process where it did not.

    Args:
        device: `cuda` uses NCCL, anything else gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        # Flags, counts and logs lie on the host; NCCL would send them over the GPU and wait.
        host = dist.new_group(backend="gloo")
        yield Ranks(dist.get_rank(), dist.get_world_size(), host)
    finally:
        dist.destroy_process_group()


def synchronised(module: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    """Let the batch norms of an encoder take their statistics over all processes.

    Args:
        module: is changed in place; names and values of its state stay.
        ranks: one process changes nothing.
        device: on `cuda` torch's own norm is used, which knows nothing else.
    """
    if ranks.count == 1:
        return module
    if device.type == "cuda":
        changed: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return changed
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d) and type(child) is nn.BatchNorm2d:
            norm = SynchronisedNorm(child.num_features, child.eps, child.momentum, child.affine)
            kept = child.state_dict()
            norm.to(kept["running_mean"].dtype).load_state_dict(kept)
            norm.ranks = ranks
            setattr(module, name, norm)
        else:
            synchronised(child, ranks, device)
    return module


class SynchronisedNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of all processes, for devices that torch's own does not know.

    Attributes:
        ranks: the processes.
    """

    ranks: Ranks = Ranks()

    def forward(self, images: Tensor) -> Tensor:
        """Normalise maps `[B, C, h, w]`; each process has as many."""
        if not self.training:
            return super().forward(images)
        # Sums over all maps of a batch lose digits in half precision.
        x = images.float() if images.dtype in (torch.float16, torch.bfloat16) else images
        count = x.numel() // x.shape[1] * self.ranks.count
        shape = (1, -1, 1, 1)
        # In two passes: E[x^2] - E[x]^2 takes the difference of two large numbers.
        mean = _total(x.sum((0, 2, 3)), self.ranks) / count
        centred = x - mean.view(shape)
        variance = _total(centred.square().sum((0, 2, 3)), self.ranks) / count
        if self.track_running_stats and self.running_mean is not None:
            # As torch: the running variance is the unbiased one, the one that normalises is not.
            self._follow(mean.detach(), variance.detach() * count / max(count - 1, 1))
        out = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(images.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None  # noqa: S101 (tells mypy)
        assert self.running_var is not None  # noqa: S101 (tells mypy)
        assert self.num_batches_tracked is not None  # noqa: S101 (tells mypy)
        self.num_batches_tracked.add_(1)
        share = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Gather(torch.autograd.Function):
    """Rows of all processes.

    Every process computes the same loss of all rows, divided by their number, and the gradients are
    summed at the end. So the own rows take the gradient that this process works out, times the
    number of processes, and nothing has to be sent back.
    """

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, *parts: Tensor) -> tuple[Tensor, ...]:
        ctx.ranks = ranks
        rows: dict[int, Tensor] = {}
        # What lies on the host goes by gloo: NCCL knows only the GPU.
        for on_host in (False, True):
            # Wide numbers first: in the bytes of all parts each then begins where it may.
            chosen = sorted(
                (n for n, part in enumerate(parts) if part.is_cpu == on_host),
                key=lambda n: -parts[n].element_size(),
            )
            if chosen:
                group = ranks.host if on_host else None
                sent = [parts[n] for n in chosen]
                rows |= dict(zip(chosen, _gathered(sent, ranks.count, group), strict=True))
        whole = tuple(rows[n] for n in range(len(parts)))
        ctx.mark_non_differentiable(*(each for each in whole if not each.is_floating_point()))
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        ranks = ctx.ranks
        own = (
            None if each is None else each.tensor_split(ranks.count)[ranks.rank] * ranks.count
            for each in gradients
        )
        return None, *own


def _gathered(parts: Sequence[Tensor], count: int, group: Any) -> list[Tensor]:
    """Return the rows of all processes for each part, sent in one message."""
    flat = [part.contiguous().flatten().view(torch.uint8) for part in parts]
    message = torch.cat(flat)
    messages = [torch.empty_like(message) for _ in range(count)]
    dist.all_gather(messages, message, group=group)
    sizes = [len(each) for each in flat]
    found = zip(*(torch.split(each, sizes) for each in messages), strict=True)
    return [
        torch.cat([each.view(part.dtype).view(part.shape) for each in own])
        for part, own in zip(parts, found, strict=True)
    ]


class _Sum(torch.autograd.Function):
    """Sum over the processes, of values and of gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _total(value: Tensor, ranks: Ranks) -> Tensor:
    if ranks.count == 1:
        return value
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total
