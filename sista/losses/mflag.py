"""M-FLAG's losses: alignment to a frozen text space, and a latent space with orthogonal axes."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def alignment(image: Tensor, report: Tensor) -> Tensor:
    """Return the mean of `4 - 4 cos` of each pair, in [0, 8] (Liu et al. 2023, M-FLAG).

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
    """
    return 4 - 4 * F.cosine_similarity(image, report, dim=-1).mean()


def orthogonality(latent: Tensor, off_diagonal: float = 0.0051) -> Tensor:
    """Pull the axes of the latent space towards unit power and no correlation.

    With `C = Z^T Z / B`: half of `sum_i (C_ii - 1)^2 + off_diagonal sum_{i != j} C_ij^2`
    (Liu et al. 2023; the weight and the half are those of the public code).

    Args:
        latent: `[B, F]` global image features, not normalised.
        off_diagonal: weight of the correlations.

    Returns:
        A scalar >= 0, 0 where the axes are orthogonal with mean square 1.
    """
    products = latent.T @ latent / len(latent)
    diagonal = products.diagonal()
    power = (diagonal - 1).square().sum()
    # All squares less the diagonal ones: no mask of F x F.
    correlation = products.square().sum() - diagonal.square().sum()
    return (power + off_diagonal * correlation) / 2
