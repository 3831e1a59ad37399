"""Sinkhorn codes: soft assignments of samples to prototypes that use all prototypes equally."""

import math

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
    # Logarithms: exp(1 / epsilon) of half precision, or of large scores, would overflow.
    codes = scores.to(wide) / epsilon
    for _ in range(iterations):
        codes = codes - torch.logsumexp(codes, 0, keepdim=True) - math.log(prototypes)
        codes = codes - torch.logsumexp(codes, 1, keepdim=True) - math.log(samples)
    return codes.softmax(1)
