"""STA, sparse token alignment: each word picks few patches, and what it picked must tell it again.

The form is SPARC's (Bica et al. 2024, section 3.2), as METHODS.md reads SISTA's abstract.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.losses.sparsify import Sparsify, sparse_weights

Direction = Literal["word", "patch"]


def sta(
    patches: Tensor,
    words: Tensor,
    word_mask: Tensor,
    *,
    temperature: float | Tensor,
    sparsify: Sparsify = "minmax",
    sigma: float | None = None,
    directions: Sequence[Direction] = ("word",),
    weights: Tensor | None = None,
    word_ids: Tensor | None = None,
    top_k: int = 8,
    stop_gradient: bool = False,
) -> Tensor:
    """Contrast, inside one report, each word with the patches that the other words picked.

    Direction `word`: `a_lk` = sparse weights of word l over patches k, from raw dot products;
    `c_l = sum_k a_lk p_k`; InfoNCE on `cos(c_l, w_m) / temperature` among the valid words of the
    same report, rows and columns. Direction `patch` is the mirror: patches query the words.

    Args:
        patches: `[B, P, D]`, not normalised.
        words: `[B, L, D]`, not normalised; values at padding do not matter.
        word_mask: `[B, L]` bool, True at words.
        temperature: divides the cosines; 0.07.
        sparsify: see `sparse_weights`.
        sigma: threshold of `minmax`; None = 1/P (words) and 1/L_i (patches).
        directions: `word`, `patch` or both (then their mean).
        weights: `[B, L]` >= 0, relevance of the words in the mean over words; None = equal.
        word_ids: `[B, L]` integers; equal words of one report are then no negatives of each other.
        top_k: for `topk`.
        stop_gradient: the query that picks the patches gets no gradient through the weights.

    Returns:
        Mean over valid words, rows and columns, reports and directions, a scalar; a report of one
        word gives 0.
    """
    patch_mask = torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device)
    losses = []
    for direction in directions:
        ours, theirs = (words, patches) if direction == "word" else (patches, words)
        our_mask, their_mask = (
            (word_mask, patch_mask) if direction == "word" else (patch_mask, word_mask)
        )
        grouped = group(
            ours,
            theirs,
            their_mask,
            sparsify=sparsify,
            sigma=sigma,
            top_k=top_k,
            stop_gradient=stop_gradient,
        )
        ids = word_ids if direction == "word" else None
        relevance = weights if direction == "word" else None
        losses.append(_within(grouped, ours, our_mask, temperature, relevance, ids).mean())
    return torch.stack(losses).mean()


def group(
    queries: Tensor,
    keys: Tensor,
    key_mask: Tensor,
    *,
    sparsify: Sparsify = "minmax",
    sigma: float | None = None,
    top_k: int = 8,
    stop_gradient: bool = False,
) -> Tensor:
    """Return for each query `[..., Q, D]` the mix of keys `[..., K, D]` that it picks."""
    weights = alignment(
        queries.detach() if stop_gradient else queries,
        keys,
        key_mask,
        sparsify=sparsify,
        sigma=sigma,
        top_k=top_k,
    )
    return weights @ keys.masked_fill(~key_mask.unsqueeze(-1), 0.0)


def alignment(
    queries: Tensor,
    keys: Tensor,
    key_mask: Tensor,
    *,
    sparsify: Sparsify = "minmax",
    sigma: float | None = None,
    top_k: int = 8,
) -> Tensor:
    """Return the weights `[..., Q, K]` of each query over the valid keys."""
    scores = queries @ keys.transpose(-1, -2)
    return sparse_weights(
        scores,
        key_mask.unsqueeze(-2),
        kind=sparsify,
        sigma=sigma,
        top_k=top_k,
        width=keys.shape[-1],
    )


def _within(
    grouped: Tensor,
    targets: Tensor,
    mask: Tensor,
    temperature: float | Tensor,
    weights: Tensor | None,
    ids: Tensor | None,
) -> Tensor:
    """Return the InfoNCE loss inside each item of the batch, `[B]`."""
    logits = F.normalize(grouped, dim=-1) @ F.normalize(targets, dim=-1).transpose(1, 2)
    logits = logits / temperature
    allowed = mask[:, None, :] & mask[:, :, None]
    if ids is not None:
        length = ids.shape[1]
        other = ~torch.eye(length, dtype=torch.bool, device=ids.device)
        allowed = allowed & ~((ids[:, None, :] == ids[:, :, None]) & other)
    # Padding: a row with nothing allowed keeps its diagonal, so that no NaN arises; weight 0.
    diagonal = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    kept = logits.masked_fill(~(allowed | diagonal), -torch.inf)
    own = logits.diagonal(dim1=1, dim2=2)
    rows = torch.logsumexp(kept, 2) - own
    columns = torch.logsumexp(kept, 1) - own
    share = mask.to(logits.dtype) if weights is None else weights * mask
    share = share / share.sum(1, keepdim=True).clamp_min(torch.finfo(logits.dtype).tiny)
    return (share * torch.where(mask, (rows + columns) / 2, 0.0)).sum(1)
