"""From scores over keys to sparse weights that sum to one. All act on the last dimension."""

from typing import Literal

import torch
from torch import Tensor

Sparsify = Literal["minmax", "topk", "sparsemax", "entmax15", "softmax"]


def sparse_weights(
    scores: Tensor,
    mask: Tensor,
    *,
    kind: Sparsify = "minmax",
    sigma: float | None = None,
    top_k: int = 8,
    width: int = 1,
) -> Tensor:
    """Return weights over the valid keys of each query.

    Args:
        scores: `[..., K]` raw dot products.
        mask: `[..., K]` True where the key counts; broadcasts against `scores`.
        kind: `minmax` (SPARC, Bica et al. 2024: min-max over keys, values below sigma set to 0);
            the others act on scores / sqrt(width): softmax, softmax over the `top_k` largest,
            sparsemax (Martins & Astudillo 2016), entmax15 (Peters et al. 2019).
        sigma: threshold of `minmax` in [0, 1]; None = 1 / number of valid keys.
        top_k: number of keys that `topk` keeps.
        width: number of feature dimensions behind a score.

    Returns:
        `[..., K]` in [0, 1], 0 at invalid keys, rows sum to 1 (0 where no key is valid).
    """
    mask = mask.expand_as(scores)
    if kind == "minmax":
        return _minmax(scores, mask, sigma)
    scaled = (scores / width**0.5).masked_fill(~mask, torch.finfo(scores.dtype).min)
    if kind == "sparsemax":
        weights = _sparsemax(scaled)
    elif kind == "entmax15":
        weights = _entmax15(scaled)
    elif kind == "topk":
        kept = scaled.topk(min(top_k, scaled.shape[-1]), dim=-1).values[..., -1:]
        weights = scaled.masked_fill(scaled < kept, torch.finfo(scores.dtype).min).softmax(-1)
    elif kind == "softmax":
        weights = scaled.softmax(-1)
    else:
        raise ValueError(f"unknown sparsify {kind!r}")
    return weights * mask


def _minmax(scores: Tensor, mask: Tensor, sigma: float | None) -> Tensor:
    valid = mask.sum(-1, keepdim=True).clamp_min(1).to(scores.dtype)
    # Invalid keys take the value of the first valid extreme, so they change neither end.
    low = scores.masked_fill(~mask, torch.inf).amin(-1, keepdim=True)
    high = scores.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)
    low, high = low.nan_to_num(posinf=0.0), high.nan_to_num(neginf=0.0)
    spread = high - low
    flat = spread <= torch.finfo(scores.dtype).eps * torch.maximum(low.abs(), high.abs())
    scaled = (scores - low) / torch.where(flat, 1.0, spread)
    cut = 1.0 / valid if sigma is None else torch.full_like(valid, sigma)
    kept = torch.where((scaled >= cut) & mask, scaled, 0.0)
    # A constant row says nothing about where to look: uniform.
    kept = torch.where(flat & mask, 1.0, kept)
    return kept / kept.sum(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)


def _sparsemax(scores: Tensor) -> Tensor:
    """Euclidean projection onto the simplex (Martins & Astudillo 2016, algorithm 1)."""
    scores = scores - scores.amax(-1, keepdim=True)
    ordered = scores.sort(-1, descending=True).values
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    # Masked scores are the lowest number; the clamp keeps their running sum finite.
    total = ordered.clamp_min(-1e6).cumsum(-1)
    support = (1 + count * ordered > total).sum(-1, keepdim=True)
    tau = (total.gather(-1, support - 1) - 1) / support.to(scores.dtype)
    return (scores - tau).clamp_min(0.0)


def _entmax15(scores: Tensor) -> Tensor:
    """Exact 1.5-entmax by sorting (Peters et al. 2019, algorithm 2)."""
    scores = ((scores - scores.amax(-1, keepdim=True)) / 2).clamp_min(-1e4)
    ordered = scores.sort(-1, descending=True).values
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    mean = ordered.cumsum(-1) / count
    square = (ordered**2).cumsum(-1) / count
    delta = (1 - count * (square - mean**2)) / count
    tau = mean - delta.clamp_min(0.0).sqrt()
    support = (tau <= ordered).sum(-1, keepdim=True)
    threshold = tau.gather(-1, support - 1)
    return (scores - threshold).clamp_min(0.0) ** 2
