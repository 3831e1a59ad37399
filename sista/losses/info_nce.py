"""Symmetric InfoNCE between images and reports."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def pair_logits(image: Tensor, report: Tensor, temperature: float | Tensor) -> Tensor:
    """Return `cos(image_i, report_j) / temperature` `[B, B]` of embeddings `[B, D]`."""
    return F.normalize(image, dim=-1) @ F.normalize(report, dim=-1).T / temperature


def info_nce(
    image: Tensor, report: Tensor, *, temperature: float | Tensor, image_weight: float = 0.5
) -> Tensor:
    """Contrast each image with all reports of the batch, and each report with all images.

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        temperature: divides the cosines; 0.07 in CLIP (learnable), 0.1 in ConVIRT.
        image_weight: weight of the image→report direction, the other gets the rest; 0.75 in
            ConVIRT (Zhang et al. 2020, equation 4), 0.5 in CLIP (Radford et al. 2021).

    Returns:
        Batch mean, a scalar >= 0; 0 for B = 1.
    """
    logits = pair_logits(image, report, temperature)
    # Minus log softmax of the diagonal, over rows and over columns of the same cosines.
    own = logits.diagonal()
    to_report = (torch.logsumexp(logits, 1) - own).mean()
    to_image = (torch.logsumexp(logits, 0) - own).mean()
    return image_weight * to_report + (1 - image_weight) * to_image
