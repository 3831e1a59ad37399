"""NT-Xent between two views of each image, with or without detected false negatives."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def nt_xent(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float | Tensor,
    eliminate: Tensor | None = None,
) -> Tensor:
    """Tell the other view of an image from both views of all other images.

    For each of the 2B views, `-log e^{s_pos} / sum_{k != itself} e^{s_k}` on cosines over the
    temperature (Chen et al. 2020, SimCLR, equation 1).

    Args:
        first: `[B, D]` one view of each image, normalised inside.
        second: `[B, D]` the other view, normalised inside.
        temperature: divides the cosines.
        eliminate: `[B, B]` bool, images that are no negatives of each other: both their views are
            left out of the denominator (Chen et al. 2022, L_elim). The diagonal is not used.

    Returns:
        Mean over views, a scalar >= 0; 0 for B = 1.
    """
    views = F.normalize(torch.cat([first, second]), dim=-1)
    logits = views @ views.T / temperature
    count = len(first)
    oneself = torch.eye(2 * count, dtype=torch.bool, device=logits.device)
    positive = oneself.roll(count, 1)
    left_out = oneself
    if eliminate is not None:
        # The other view of the image itself stays, whatever is eliminated.
        left_out = left_out | (eliminate.repeat(2, 2) & ~positive)
    rest = torch.logsumexp(logits.masked_fill(left_out, -torch.inf), 1)
    # Not by the mask: how many places it has would be read from the device.
    own = torch.cat([logits.diagonal(count), logits.diagonal(-count)])
    return (rest - own).mean()
