"""From scores over keys to sparse weights that sum to one. All act on the last dimension.

`minmax`, `entmax15` and `sparsemax` work in place and keep one tensor for the backward pass: at
196 patches and 96 reports what they touch in memory costs more than the products around them.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Sparsify = Literal["minmax", "topk", "sparsemax", "entmax15", "softmax"]


# Below any score and finite, also in half precision: a row without a valid key subtracts it from
# itself, and infinities would give NaN.
_LOWEST = -1e4


def sparse_weights(
    scores: Tensor,
    mask: Tensor | None,
    *,
    kind: Sparsify = "minmax",
    sigma: float | None = None,
    top_k: int = 8,
    width: int = 1,
) -> Tensor:
    """Return weights over the valid keys of each query.

    Args:
        scores: `[..., K]` raw dot products.
        mask: `[..., K]` True where the key counts; broadcasts against `scores`. None = all count.
        kind: `minmax` (SPARC, Bica et al. 2024: min-max over keys, values below sigma set to 0);
            the others act on scores / sqrt(width): softmax, softmax over the `top_k` largest,
            sparsemax (Martins & Astudillo 2016), entmax15 (Peters et al. 2019).
        sigma: threshold of `minmax` in [0, 1]; None = 1 / number of valid keys.
        top_k: number of keys that `topk` keeps.
        width: number of feature dimensions behind a score.

    Returns:
        `[..., K]` in [0, 1], 0 at invalid keys, rows sum to 1 (0 where no key is valid).
    """
    if kind == "entmax15":
        weights: Tensor = _Entmax15.apply(scores, mask, width**-0.5)  # type: ignore[no-untyped-call]
    elif kind == "minmax":
        weights = _MinMax.apply(scores, mask, sigma)  # type: ignore[no-untyped-call]
    elif kind == "sparsemax":
        weights = _Sparsemax.apply(scores, mask, width**-0.5)  # type: ignore[no-untyped-call]
    else:
        weights = _plain_weights(scores * width**-0.5, mask, kind, top_k)
    return weights


def _plain_weights(scaled: Tensor, mask: Tensor | None, kind: str, top_k: int) -> Tensor:
    if mask is not None:
        # Finite: a row without a valid key would give NaN.
        scaled = scaled.masked_fill(~mask, torch.finfo(scaled.dtype).min)
    if kind == "topk":
        kept = scaled.topk(min(top_k, scaled.shape[-1]), dim=-1).values[..., -1:]
        weights = scaled.masked_fill(scaled < kept, torch.finfo(scaled.dtype).min).softmax(-1)
    elif kind == "softmax":
        weights = scaled.softmax(-1)
    else:
        raise ValueError(f"unknown sparsify {kind!r}")
    return weights if mask is None else weights * mask


class _MinMax(torch.autograd.Function):
    """Min-max over the valid keys, values below sigma dropped, renormalised."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, mask: Tensor | None, sigma: float | None) -> Tensor:
        """Return the weights; a row of equal scores says nothing about where to look: uniform."""
        if mask is None:
            low, first = scores.min(-1, keepdim=True)
            high, last = scores.max(-1, keepdim=True)
            valid: Tensor | int = scores.shape[-1]
        else:
            low, first = scores.masked_fill(~mask, torch.inf).min(-1, keepdim=True)
            high, last = scores.masked_fill(~mask, -torch.inf).max(-1, keepdim=True)
            # A row without a valid key has infinite ends.
            low, high = low.nan_to_num(posinf=0.0), high.nan_to_num(neginf=0.0)
            valid = mask.sum(-1, keepdim=True).clamp_min(1)
        spread = high - low
        # Differences of rounding would be spread over all of [0, 1].
        flat = spread <= torch.finfo(scores.dtype).eps * torch.maximum(low.abs(), high.abs())
        divisor = torch.where(flat, 1.0, spread)
        # A division, so that the highest score is exactly 1.
        weights = (scores - low).div_(divisor)
        cut = 1.0 / valid if sigma is None else sigma
        weights.masked_fill_(weights < cut, 0.0).masked_fill_(flat, 1.0)
        if mask is not None:
            weights.masked_fill_(~mask, 0.0)
        total = weights.sum(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
        weights.div_(total)
        slope = torch.where(flat, 0.0, 1.0 / divisor) / total
        ctx.save_for_backward(weights, slope, total, first, last)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient to the scores; ties at an end send theirs to the first of them."""
        weights, slope, total, first, last = ctx.saved_tensors
        inner = grad - torch.linalg.vecdot(grad, weights).unsqueeze(-1)
        inner.mul_(slope).masked_fill_(weights == 0, 0.0)
        # With u = (s - low) / (high - low), high pulls by u and low by 1 - u.
        pull = torch.linalg.vecdot(inner, weights).unsqueeze(-1) * total
        inner.scatter_add_(-1, last, -pull)
        return inner.scatter_add_(-1, first, pull - inner.sum(-1, keepdim=True)), None, None


class _Entmax15(torch.autograd.Function):
    """Exact 1.5-entmax: weights (x / 2 - tau)_+^2 with tau by Newton steps instead of sorting.

    `||(x / 2 - tau)_+|| = 1` is convex in tau, so the steps rise from below and converge
    quadratically; 5 reach single precision for 1,000 keys, 8 double precision.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Return the weights of `scores * scale`."""
        half = scores * (scale / 2)
        if mask is not None:
            half.masked_fill_(~mask, _LOWEST)
        half.sub_(half.amax(-1, keepdim=True))
        # The highest score is 0 and has alone a norm of 1 here, so the root does not lie below.
        tau = torch.full_like(half[..., :1], -1.0)
        above = torch.empty_like(half)
        for _ in range(8 if scores.dtype == torch.float64 else 5):
            torch.sub(half, tau, out=above).clamp_min_(0.0)
            norm = torch.linalg.vector_norm(above, dim=-1, keepdim=True)
            # tau + (norm - 1) norm / sum: the derivative of the norm by tau is -sum / norm.
            tau.addcdiv_(norm.square().sub_(norm), above.sum(-1, keepdim=True))
        root = torch.sub(half, tau, out=above).clamp_min_(0.0)
        if mask is not None:
            # A row without a valid key: all its keys are lowest alike.
            root.mul_(mask)
        weights = torch.mul(root, root, out=half)
        weights.div_(weights.sum(-1, keepdim=True).clamp_min_(torch.finfo(scores.dtype).tiny))
        ctx.scale = scale
        ctx.save_for_backward(root)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient to the scores (Peters et al. 2019, proposition 2)."""
        (root,) = ctx.saved_tensors
        total = root.sum(-1, keepdim=True).clamp_min_(torch.finfo(grad.dtype).tiny)
        mean = (root * grad).sum(-1, keepdim=True).div_(total)
        return (grad - mean).mul_(root).mul_(ctx.scale), None, None


class _Sparsemax(torch.autograd.Function):
    """Euclidean projection onto the simplex (Martins & Astudillo 2016, algorithm 1).

    The threshold is the largest of (sum of the j highest - 1) / j over j.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Return the weights of `scores * scale`."""
        scaled = scores * scale
        if mask is not None:
            scaled.masked_fill_(~mask, _LOWEST)
        scaled.sub_(scaled.amax(-1, keepdim=True))
        tau = scaled.sort(-1, descending=True).values.cumsum_(-1).sub_(1.0)
        keys = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
        weights = scaled.sub_(tau.div_(keys).amax(-1, keepdim=True)).clamp_min_(0.0)
        if mask is not None:
            # A row without a valid key: all its keys are lowest alike.
            weights.mul_(mask)
        ctx.scale = scale
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient to the scores: centred over the support (same source, eq. 13)."""
        (weights,) = ctx.saved_tensors
        support = (weights > 0).to(grad.dtype)
        count = support.sum(-1, keepdim=True).clamp_min_(1.0)
        mean = torch.linalg.vecdot(grad, support).unsqueeze(-1).div_(count)
        return (grad - mean).mul_(support).mul_(ctx.scale), None, None
