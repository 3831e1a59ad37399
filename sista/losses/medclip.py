"""MedCLIP's semantic matching loss: soft targets from the findings that two studies share."""

import torch
from torch import Tensor

from sista.losses.info_nce import pair_logits


def medclip(
    image: Tensor,
    report: Tensor,
    image_labels: Tensor,
    report_labels: Tensor,
    *,
    temperature: float | Tensor,
) -> Tensor:
    """Match the softmax of the cosines to the softmax of the label products.

    Rows: targets `softmax_j(l_i . m_j)` for image labels l and report labels m; columns: the same
    of the transposed products (Wang et al. 2022, section 3.3). The products are those of its public
    code: neither normalised nor clipped.

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        image_labels: `[B, C]` in {-1, 0, 1}.
        report_labels: `[B, C]` in {-1, 0, 1}.
        temperature: divides the cosines; 0.07.

    Returns:
        Mean of both directions and over the batch, a scalar >= 0. A study without labels has a
        uniform target.
    """
    logits = pair_logits(image, report, temperature)
    products = (image_labels @ report_labels.T).to(logits.dtype)
    rows = torch.softmax(products, 1) * torch.log_softmax(logits, 1)
    columns = torch.softmax(products, 0) * torch.log_softmax(logits, 0)
    return -(rows.sum() + columns.sum()) / (2 * len(logits))
