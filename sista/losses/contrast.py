"""InfoNCE inside each item of a batch, rows and columns, with one exponential for both."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

# Cosines over a temperature of at least this have exponentials that single precision holds.
SAFE_TEMPERATURE = 0.03


def contrast_within(
    queries: Tensor,
    targets: Tensor,
    allowed: Tensor | None,
    share: Tensor,
    temperature: float | Tensor,
) -> Tensor:
    """Return for each item the mean InfoNCE of query n against target n, rows and columns, `[B]`.

    Args:
        queries: `[B, N, D]`, normalised inside.
        targets: `[B, N, D]`, normalised inside.
        allowed: `[B, N, N]` bool, pairs that count, its diagonal where `share` > 0; None = all.
        share: `[B, N]` weights of the mean, 0 at padding.
        temperature: divides the cosines.
    """
    if isinstance(temperature, float) and temperature >= SAFE_TEMPERATURE:
        loss: Tensor = _Contrast.apply(queries, targets, allowed, share, temperature)  # type: ignore[no-untyped-call]
        return loss
    logits = F.normalize(queries, dim=-1) @ F.normalize(targets, dim=-1).transpose(1, 2)
    logits = logits / temperature
    if allowed is not None:
        # A row with nothing allowed keeps its diagonal, so that no NaN arises; its share is 0.
        oneself = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
        kept = logits.masked_fill(~(allowed | oneself), -torch.inf)
    else:
        kept = logits
    both = torch.logsumexp(kept, 2) + torch.logsumexp(kept, 1)
    return (share * (both / 2 - logits.diagonal(dim1=1, dim2=2))).sum(1)


class _Contrast(torch.autograd.Function):
    """The same in place: what is kept is one `[B, N, N]` and the unit vectors."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        targets: Tensor,
        allowed: Tensor | None,
        share: Tensor,
        temperature: float,
    ) -> Tensor:
        """Return the loss of each item."""
        tiny = torch.finfo(queries.dtype).tiny
        scales = [
            torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(1e-12).reciprocal_()
            for x in (queries, targets)
        ]
        query, target = queries * scales[0], targets * scales[1]
        power = torch.bmm(query, target.transpose(1, 2))
        power.sub_(1.0).mul_(1.0 / temperature).exp_()
        if allowed is not None:
            power.masked_fill_(~allowed, 0.0)
        rows, columns = power.sum(2).clamp_min_(tiny), power.sum(1).clamp_min_(tiny)
        own = power.diagonal(dim1=1, dim2=2).clamp_min(tiny)
        # Quotients first: with nothing else allowed the loss is exactly 0.
        each = ((rows / own).log() + (columns / own).log()) / 2
        ctx.temperature = temperature
        ctx.save_for_backward(query, target, *scales, power, rows, columns, share)
        return (each * share).sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients to queries and targets."""
        query, target, q_scale, t_scale, power, rows, columns, share = ctx.saved_tensors
        weight = share * grad.unsqueeze(1) / ctx.temperature
        inner = power * (weight / rows / 2).unsqueeze(2)
        inner.addcmul_(power, (weight / columns / 2).unsqueeze(1))
        inner.diagonal(dim1=1, dim2=2).sub_(weight)
        to_query, to_target = torch.bmm(inner, target), torch.bmm(inner.transpose(1, 2), query)
        for to, unit, scale in ((to_query, query, q_scale), (to_target, target, t_scale)):
            along = torch.linalg.vecdot(to, unit).unsqueeze(-1)
            to.addcmul_(unit, along, value=-1.0).mul_(scale)
        return to_query, to_target, None, None, None
