"""Loss and gradients of one contrastive batch, however it is divided.

A batch that does not fit into memory is embedded in chunks (gradient caching, Gao et al. 2021,
"Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"): first without graph,
then the loss of all pairs gives the gradient of each embedding, then chunk by chunk with graph
again. Every pair contrasts with the same others as in one piece. What an encoder's own batch norm
sees is a chunk; the projections' batch norm, outside the chunks, sees the whole batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sista.engine.batches import Batch, part
from sista.engine.buckets import Buckets
from sista.engine.distributed import Ranks
from sista.engine.interface import PAIRWISE, Embedded, Objective
from sista.engine.model import PretrainModel
from sista.grid.budgets import Precision

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Steps are this far apart in the seeds of dropout; pairs of a step lie between.
PLACES = 2**32


@dataclass(frozen=True)
class Differentiator:
    """Works out loss and gradients of contrastive batches.

    Attributes:
        model: embeds.
        objective: gives the loss, in single precision.
        ranks: processes that share the batch.
        device: of the model.
        precision: of the encoders.
        buckets: add up the gradients of all processes.
    """

    model: PretrainModel
    objective: Objective
    ranks: Ranks
    device: torch.device
    precision: Precision
    buckets: Buckets = field(default_factory=lambda: Buckets(Ranks()))

    def __call__(
        self, chunks: Sequence[Batch], alike: Tensor, scaler: torch.amp.GradScaler, seed: int
    ) -> dict[str, Tensor]:
        """Add the gradients of a contrastive batch to the parameters.

        Args:
            chunks: parts of this process's share. All their parts are padded as the whole
                contrastive batch needs it.
            alike: `[B, B]` inter-report similarity of the whole contrastive batch, or empty.
            scaler: scales the loss (half precision).
            seed: of dropout; another one in each step.

        Returns:
            The scalar parts of the objective, without graph.
        """
        seeds = list(self._seeds(chunks, seed))
        if len(chunks) == 1:
            embedded = leaves = self._encode(chunks[0], seeds[0])
        else:
            # The same pass comes again with graph: running statistics shall see each image once.
            with torch.no_grad(), unseen(self.model):
                passes = [self._encode(c, s) for c, s in zip(chunks, seeds, strict=True)]
            # The backward pass of the loss ends here; `_again` carries it on.
            embedded = leaves = Embedded(*map(_leaf, join(passes)))
        whole = Embedded(*self.ranks.gather(embedded))
        # What the objective draws is the same in all processes.
        torch.manual_seed(_mixed(seed, PLACES - 1))
        parts: dict[str, Tensor] = self.objective(self._projected(whole, alike))
        self.buckets.expect(last=len(chunks) == 1)
        # Every process has the whole gradient of the objective's own parameters: a share of it
        # each, summed below. For embeddings `Ranks.gather` takes the division back.
        torch.autograd.backward(scaler.scale(parts["loss"] / self.ranks.count))
        if len(chunks) > 1:
            self._again(chunks, seeds, leaves)
        self.buckets.finish()
        return {name: value.detach() for name, value in parts.items()}

    def embed(self, batch: Batch, chunk: int = 0) -> Embedded:
        """Embed a whole contrastive batch in this process's precision.

        Args:
            batch: the batch.
            chunk: studies that the encoders see at a time; 0 = all.
        """
        size = chunk or len(batch.images)
        starts = range(0, len(batch.images), size)
        encoded = [self._encode(part(batch, slice(start, start + size))) for start in starts]
        return self._projected(join(encoded) if len(encoded) > 1 else encoded[0], batch.similarity)

    def _projected(self, e: Embedded, alike: Tensor) -> Embedded:
        return self.model.project(e)._replace(similarity=alike if alike.numel() else None)

    def _encode(self, chunk: Batch, seed: int | None = None) -> Embedded:
        if seed is not None:
            torch.manual_seed(seed)
        # The encoders alone: projections, norms over the batch and losses stay in single precision.
        half = HALF.get(self.precision)
        with torch.autocast(self.device.type, half, enabled=half is not None):
            return self.model.encode(chunk)

    def _seeds(self, chunks: Sequence[Batch], seed: int) -> Iterator[int]:
        """Dropout depends on the step and the pair in the contrastive batch."""
        pair = self.ranks.rank * sum(len(chunk.images) for chunk in chunks)
        for chunk in chunks:
            yield _mixed(seed, pair)
            pair += len(chunk.images)

    def _again(self, chunks: Sequence[Batch], seeds: Sequence[int], leaves: Embedded) -> None:
        """Carry the gradients of the embeddings on to the encoders, chunk by chunk."""
        start = 0
        for chunk, seed in zip(chunks, seeds, strict=True):
            stop = start + len(chunk.images)
            values, gradients = [], []
            # With the seed of the first pass dropout leaves out the same units.
            for value, leaf in zip(self._encode(chunk, seed), leaves, strict=True):
                # What the objective did not look at, and whole numbers, carry nothing back.
                if value is None or leaf is None or leaf.grad is None:
                    continue
                if value.requires_grad:
                    values.append(value)
                    gradients.append(leaf.grad[start:stop])
            # The gradients of projections and objective are whole since the pass of the loss.
            self.buckets.expect(last=chunk is chunks[-1])
            torch.autograd.backward(values, gradients)
            start = stop


def join(parts: Sequence[Embedded]) -> Embedded:
    """Put the rows of chunks together.

    Raises:
        ValueError: a chunk holds values of pairs of pairs, which cannot be put together.
    """
    columns: dict[str, Tensor | None] = {}
    for name in Embedded._fields:
        values = [getattr(part, name) for part in parts]
        if values[0] is not None and name in PAIRWISE:
            raise ValueError(f"{name} has no rows; give it for the whole batch")
        columns[name] = None if values[0] is None else torch.cat(values)
    return Embedded(**columns)


@contextmanager
def unseen(model: nn.Module) -> Iterator[None]:
    """Let batch norms forget what they see: the running statistics stay."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _mixed(seed: int, pair: int) -> int:
    # What `torch.manual_seed` takes, without a sign.
    return (seed * PLACES + pair) % 2**63


def _leaf(value: Tensor | None) -> Tensor | None:
    if value is None or not value.is_floating_point():
        return value
    return value.detach().requires_grad_()
