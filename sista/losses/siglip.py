"""SigLIP's pairwise sigmoid loss: each image-report pair is a yes-or-no question of its own."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.losses.info_nce import pair_logits


def siglip(
    image: Tensor, report: Tensor, *, temperature: float | Tensor, bias: float | Tensor
) -> Tensor:
    """Tell the own report of each image from all others, pair by pair.

    `1/B sum_ij softplus(-z_ij (cos_ij / temperature + bias))` with z = 1 on the diagonal and -1
    elsewhere (Zhai et al. 2023, section 3.2).

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        temperature: divides the cosines; starts at 0.1 (their t' = log 10), learned.
        bias: added to the logits; starts at -10, learned.

    Returns:
        Sum over pairs divided by B, a scalar >= 0.
    """
    logits = pair_logits(image, report, temperature) + bias
    own = 2 * torch.eye(len(logits), device=logits.device, dtype=logits.dtype) - 1
    return F.softplus(-own * logits).sum() / len(logits)
