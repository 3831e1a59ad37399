"""Sinkhorn codes: soft assignments of samples to prototypes that use all prototypes equally."""

import torch
from torch import Tensor


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Return balanced assignments (Caron et al. 2020, SwAV, section 3; Cuturi 2013).

    Args:
        scores: `[B, K]` of samples with prototypes, cosines.
        epsilon: temperature of the assignment.
        iterations: rounds of scaling prototypes to 1/K and samples to 1/B.

    Returns:
        `[B, K]`, rows sum to 1, without gradient; uniform for B = 1.
    """
    samples, prototypes = scores.shape
    wide = torch.promote_types(scores.dtype, torch.float32)
    scaled = scores.to(wide) / epsilon
    # A common factor changes nothing: the largest entry becomes 1.
    codes = (scaled - scaled.max()).exp()
    codes = codes / codes.sum()
    for _ in range(iterations):
        codes = codes / codes.sum(0, keepdim=True) / prototypes
        codes = codes / codes.sum(1, keepdim=True) / samples
    return codes * samples
