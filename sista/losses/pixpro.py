"""PixPro's pixel-to-propagation consistency between two views (Xie et al. 2021)."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def propagate(cells: Tensor, values: Tensor, sharpness: float = 2.0) -> Tensor:
    """Smooth each cell over the cells of its image that are like it (section 3.3).

    `y_i = sum_j max(cos(x_i, x_j), 0)^sharpness g(x_j)`.

    Args:
        cells: `[B, P, D]` the x.
        values: `[B, P, D]` the g(x).
        sharpness: gamma, 2 in the source.

    Returns:
        `[B, P, D]`.
    """
    unit = F.normalize(cells, dim=-1)
    # A positive floor: the gradient of a fractional power at 0 is not finite.
    alike = (unit @ unit.transpose(1, 2)).clamp_min(1e-6) ** sharpness
    return alike @ values


def same_place(first: Tensor, second: Tensor, bin_diagonal: Tensor, reach: float = 0.7) -> Tensor:
    """Return which cells of two views show the same place (section 3.2), `[B, P, Q]` bool.

    Args:
        first: `[B, P, 2]` centres of the cells of one view in the coordinates of the image.
        second: `[B, Q, 2]` of the other view.
        bin_diagonal: `[B]` diagonal of the larger of the two views' cells.
        reach: largest distance, in diagonals.
    """
    return torch.cdist(first, second) <= reach * bin_diagonal[:, None, None]


def pixpro(prediction: Tensor, target: Tensor, together: Tensor) -> Tensor:
    """Return minus the mean cosine of the cells that show the same place (one half of the loss).

    Args:
        prediction: `[B, P, D]` propagated cells of one view.
        target: `[B, Q, D]` cells of the other view by the momentum encoder.
        together: `[B, P, Q]` bool.

    Returns:
        Mean over the pairs of cells of an image, then over images, in [-1, 1]; an image whose
        views do not overlap adds 0.
    """
    cosine = F.normalize(prediction, dim=-1) @ F.normalize(target, dim=-1).transpose(1, 2)
    total = torch.where(together, cosine, 0.0).sum((1, 2))
    return -(total / together.sum((1, 2)).clamp_min(1)).mean()
