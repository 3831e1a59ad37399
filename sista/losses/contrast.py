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
        q_norm, t_norm = (
            torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(1e-12)
            for x in (queries, targets)
        )
        query, target = queries / q_norm, targets / t_norm
        power = torch.bmm(query, target.transpose(1, 2))
        # A cosine is at most 1: less 1 no exponential overflows, and quotients stay.
        power.sub_(1.0).mul_(1.0 / temperature).exp_()
        if allowed is not None:
            power.masked_fill_(~allowed, 0.0)
        sums = torch.stack([power.sum(2), power.sum(1)]).clamp_min_(tiny)
        own = power.diagonal(dim1=1, dim2=2).clamp_min(tiny)
        # Quotients first: with nothing else allowed the loss is exactly 0.
        each = torch.div(sums, own).log_().mean(0)
        ctx.temperature = temperature
        ctx.save_for_backward(query, target, q_norm, t_norm, power, sums, share)
        loss: Tensor = each.mul_(share).sum(1)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients to queries and targets."""
        query, target, q_norm, t_norm, power, sums, share = ctx.saved_tensors
        weight = share * grad.unsqueeze(1).div(ctx.temperature)
        rows, columns = torch.div(weight / 2, sums)
        inner = power * rows.unsqueeze(2)
        inner.addcmul_(power, columns.unsqueeze(1))
        # The own pair divides both sums, that of its row and that of its column.
        inner.diagonal(dim1=1, dim2=2).sub_(weight)
        to_query, to_target = torch.bmm(inner, target), torch.bmm(inner.transpose(1, 2), query)
        # Through the normalisation: along a vector itself its cosines do not change.
        for to, unit, norm in ((to_query, query, q_norm), (to_target, target, t_norm)):
            to.addcmul_(unit, (to * unit).sum(-1, keepdim=True), value=-1.0).div_(norm)
        return to_query, to_target, None, None, None


def cosine(mixes: Tensor, units: Tensor) -> Tensor:
    """Return the cosines `[...]` of mixes `[..., D]` with unit vectors `[..., D]`, broadcast.

    The gradient to a mix of length 0 is 0 along it, as in `cosine_similarity`.
    """
    cosines: Tensor = _Cosine.apply(mixes, units)  # type: ignore[no-untyped-call]
    return cosines


class _Cosine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mixes: Tensor, units: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(mixes, dim=-1, keepdim=True).clamp_min_(1e-12)
        unit_mixes = mixes / norm
        cosines: Tensor = (unit_mixes * units).sum(-1)
        ctx.save_for_backward(unit_mixes, units, norm, cosines)
        return cosines

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        unit_mixes, units, norm, cosines = ctx.saved_tensors
        grad = grad.unsqueeze(-1)
        to_units = (grad * unit_mixes).sum_to_size(units.shape)
        to_mixes = torch.addcmul(units, unit_mixes, cosines.unsqueeze(-1), value=-1.0)
        return to_mixes.mul_(grad).div_(norm), to_units
