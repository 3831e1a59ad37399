"""SAT's similarity-aware contrast: similar reports are positives, a neutral band is left out."""

import torch
from torch import Tensor

from sista.losses.info_nce import pair_logits


def sat(
    image: Tensor,
    report: Tensor,
    similarity: Tensor,
    *,
    temperature: float | Tensor,
    positive: float,
    negative: float,
    image_weight: float = 0.5,
    divide_by_negatives: bool = False,
) -> Tensor:
    """Attract each pair of similar reports against the negatives alone.

    With `P_i` = i and all j of similarity above `positive`, and `N_i` = all j != i of similarity
    at most `negative`: row i is the mean over j in P_i of
    `log(e^{s_ij} + sum_{k in N_i} e^{s_ik}) - s_ij` (Liu et al. 2023, "Improving Medical
    Vision-Language Contrastive Pretraining with Semantics-Aware Triage"). The other direction uses
    the same row of the similarity.

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        similarity: `[B, B]` inter-report similarity in [-1, 1]; the diagonal is not used.
        temperature: divides the cosines; 0.1.
        positive: strictly above it a pair is positive; 0.98.
        negative: at or below it a pair is negative; 0.97.
        image_weight: weight of the direction image→report.
        divide_by_negatives: compatibility with the public code, which divides each term by its
            number of logits, 1 + the number of negatives, by mistake.

    Returns:
        Mean over rows, a scalar >= 0; exactly 0 where no negative is left.
    """
    logits = pair_logits(image, report, temperature)
    oneself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    attract = (similarity > positive) | oneself
    repel = (similarity <= negative) & ~oneself
    to_report = _row_means(logits, attract, repel, divide_by_negatives)
    to_image = _row_means(logits.T, attract, repel, divide_by_negatives)
    return (image_weight * to_report + (1 - image_weight) * to_image).mean()


def _row_means(logits: Tensor, attract: Tensor, repel: Tensor, divide: bool) -> Tensor:
    # A finite floor instead of -inf: logaddexp of two -inf has no gradient.
    floor = torch.finfo(logits.dtype).min
    rest = torch.logsumexp(logits.masked_fill(~repel, -torch.inf), 1, keepdim=True)
    terms = torch.logaddexp(logits, rest.clamp_min(floor)) - logits
    terms = torch.where(attract & repel.any(1, keepdim=True), terms, 0.0)
    rows = terms.sum(1) / attract.sum(1)
    return rows / (1 + repel.sum(1)) if divide else rows
