"""Contrast among the words, sentences or patches of one report or image."""

import torch
from torch import Tensor


def contrast_within(
    logits: Tensor, mask: Tensor, weights: Tensor | None = None, *, pads_in_softmax: bool = False
) -> Tensor:
    """Return the InfoNCE loss inside each item of the batch.

    Args:
        logits: `[B, L, L]`; the diagonal holds the pairs that belong together.
        mask: `[B, L]` True at valid entries.
        weights: `[B, L]` >= 0, share of each entry, used as they are; None = equal, sum 1.
        pads_in_softmax: padding stays in the denominators, as in MGCA's released code.

    Returns:
        `[B]`: weighted sum over valid entries of the mean of row and column cross entropy; exactly
        0 where one entry or none is valid.
    """
    own = logits.diagonal(dim1=1, dim2=2)
    if not pads_in_softmax:
        allowed = mask[:, None, :] & mask[:, :, None]
        # A padded row keeps its diagonal, so that no NaN arises; its weight is 0.
        diagonal = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(~(allowed | diagonal), -torch.inf)
    both = (torch.logsumexp(logits, 2) + torch.logsumexp(logits, 1)) / 2 - own
    if weights is None:
        weights = mask.to(own.dtype) / mask.sum(1, keepdim=True).clamp_min(1)
    return (weights * both.masked_fill(~mask, 0.0)).sum(1)
