"""STA, sparse token alignment: each word picks few patches, and what it picked must tell it again.

The form is SPARC's (Bica et al. 2024, section 3.2), as this project reads SISTA's abstract.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.losses.contrast import contrast_within
from sista.losses.sparsify import Sparsify, sparse_weights

Direction = Literal["word", "patch"]


@dataclass(frozen=True)
class Form:
    """How a query picks keys.

    Attributes:
        sparsify: see `sparse_weights`.
        sigma: threshold of `minmax`; None = 1 / number of keys.
        top_k: keys that `topk` keeps.
        attention_temperature: None = raw dot products (over sqrt(D) except for `minmax`); a number
            = cosines divided by it.
        stop_gradient: no gradient to the query through the weights.
    """

    sparsify: Sparsify = "minmax"
    sigma: float | None = None
    top_k: int = 8
    attention_temperature: float | None = None
    stop_gradient: bool = False


def sta(
    patches: Tensor,
    words: Tensor,
    word_mask: Tensor,
    *,
    temperature: float | Tensor,
    form: Form = Form(),
    directions: Sequence[Direction] = ("word",),
    weights: Tensor | None = None,
    word_ids: Tensor | None = None,
    reduction: Literal["mean", "study"] = "mean",
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
        form: how a query picks keys.
        directions: `word`, `patch` or both (then their mean).
        weights: `[B, L]` >= 0, relevance of the words in the mean over words; None = equal.
        word_ids: `[B, L]` integers; equal words of one report are then no negatives of each other.
        reduction: `study` gives the loss of each report instead.

    Returns:
        Mean over valid words, rows and columns, reports and directions, a scalar; a report of one
        word gives 0. Or `[B]`.
    """
    # What stands at padding must not reach a product, whatever it is.
    words = words.masked_fill(~word_mask.unsqueeze(-1), 0.0)
    losses = []
    for direction in directions:
        if direction == "word":
            grouped = group(words, patches, None, form)
            losses.append(_within(grouped, words, word_mask, temperature, weights, word_ids))
        else:
            grouped = group(patches, words, word_mask, form)
            every = torch.full_like(patches[..., 0], 1.0 / patches.shape[1])
            loss = contrast_within(grouped, patches, None, every, temperature)
            # With one word or none there is nothing to pick.
            losses.append(torch.where(word_mask.sum(1) > 1, loss, 0.0))
    each = torch.stack(losses).mean(0)
    return each if reduction == "study" else each.mean()


def group(queries: Tensor, keys: Tensor, key_mask: Tensor | None, form: Form) -> Tensor:
    """Return for each query `[..., Q, D]` the mix of keys `[..., K, D]` that it picks.

    Args:
        queries: what picks.
        keys: finite everywhere.
        key_mask: `[..., K]` True where a key counts; None = all.
        form: how it picks.
    """
    weights = alignment(queries, keys, key_mask, form)
    return weights @ (keys if form.attention_temperature is None else F.normalize(keys, dim=-1))


def alignment(queries: Tensor, keys: Tensor, key_mask: Tensor | None, form: Form) -> Tensor:
    """Return the weights `[..., Q, K]` of each query over the valid keys, as in `group`."""
    if form.stop_gradient:
        queries = queries.detach()
    width = keys.shape[-1]
    if form.attention_temperature is not None:
        queries = F.normalize(queries, dim=-1) / form.attention_temperature
        keys, width = F.normalize(keys, dim=-1), 1
    return sparse_weights(
        queries @ keys.transpose(-1, -2),
        None if key_mask is None else key_mask.unsqueeze(-2),
        kind=form.sparsify,
        sigma=form.sigma,
        top_k=form.top_k,
        width=width,
    )


def _within(
    grouped: Tensor,
    targets: Tensor,
    mask: Tensor,
    temperature: float | Tensor,
    weights: Tensor | None,
    ids: Tensor | None,
) -> Tensor:
    """Return the InfoNCE loss inside each report, `[B]`."""
    allowed = mask[:, None, :] & mask[:, :, None]
    if ids is not None:
        # A word stays its own positive.
        other = ~torch.eye(ids.shape[1], dtype=torch.bool, device=ids.device)
        allowed = allowed & ~((ids[:, None, :] == ids[:, :, None]) & other)
    share = mask.to(grouped.dtype) if weights is None else weights * mask
    # A report without a word has no sum to divide by.
    share = share / share.sum(1, keepdim=True).clamp_min(torch.finfo(grouped.dtype).tiny)
    return contrast_within(grouped, targets, allowed, share, temperature)
