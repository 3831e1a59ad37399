"""SIA, semantic-aware instance alignment: InfoNCE that knows which reports say the same.

SISTA's paper (arXiv 2601.08165, abstract only known here) improves the contrastive loss "by
incorporating inter-report similarity to eliminate the false negatives". `eliminate` is the literal
reading; `attract` and `soft` are those of SAT and MedCLIP.
"""

from typing import Literal

import torch
from torch import Tensor

from sista.losses.info_nce import pair_logits

Mode = Literal["eliminate", "attract", "soft", "infonce"]


def sia(
    image: Tensor,
    report: Tensor,
    similarity: Tensor,
    *,
    temperature: float | Tensor,
    mode: Mode = "eliminate",
    threshold: float | Tensor | None = None,
    neutral: float | None = None,
    soft_temperature: float = 0.1,
) -> Tensor:
    """Align images with reports and treat pairs of similar reports apart.

    Row i compares image i with all reports (and report i with all images, with the same row of
    `similarity`). `F_i` are the others j with `similarity_ij > threshold` (strictly).

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        similarity: `[B, B]` inter-report similarity in [-1, 1]; its diagonal is not used except
            by `soft`.
        temperature: divides the cosines.
        mode: `eliminate` leaves `F_i` out of the denominator; `attract` makes them positives, each
            against the negatives only; `soft` uses the row softmax of the similarity as targets;
            `infonce` ignores the similarity.
        threshold: above it two reports count as saying the same; needed by `eliminate`, `attract`.
        neutral: `attract` only: negatives are those at or below it, what lies between is used by
            neither side; None = `threshold`.
        soft_temperature: of the target softmax of `soft`.

    Returns:
        Mean over rows and both directions, a scalar; exactly 0 where no negative is left.

    Raises:
        ValueError: a needed threshold is missing, or the mode is unknown.
    """
    one_way = pair_logits(image, report, temperature)
    # Both directions at once, each with the same rows of the similarity.
    logits = torch.stack([one_way, one_way.T])
    if mode == "infonce":
        return _eliminate(logits, None)
    if mode == "soft":
        targets = torch.softmax(similarity.to(logits.dtype) / soft_temperature, dim=1)
        return -(targets * torch.log_softmax(logits, 2)).sum(2).mean()
    if threshold is None:
        raise ValueError(f"mode {mode!r} needs a threshold")
    if mode == "eliminate":
        return _eliminate(logits, false_negatives(similarity, threshold))
    if mode == "attract":
        oneself = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
        positive = (similarity > threshold) | oneself
        no_negative = (similarity > (threshold if neutral is None else neutral)) | oneself
        return _attract(logits, positive, no_negative)
    raise ValueError(f"unknown mode {mode!r}; valid: eliminate, attract, soft, infonce")


def false_negatives(similarity: Tensor, threshold: float | Tensor) -> Tensor:
    """Return which others say the same, `[B, B]` bool: strictly above the threshold."""
    oneself = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    return (similarity > threshold) & ~oneself


def recentred(similarity: Tensor, centre: float | Tensor) -> Tensor:
    """Return FaNe's `(S - o) / (1 - o + 1e-6)`, which spreads similarities squeezed towards 1.

    Args:
        similarity: in [-1, 1].
        centre: o, the mean cosine of the reports to their mean direction, below 1.
    """
    return (similarity - centre) / (1.0 - centre + 1e-6)


def _eliminate(logits: Tensor, left_out: Tensor | None) -> Tensor:
    """Return the mean of -log softmax of the diagonal among the entries of each row that stay."""
    # Nobody is a false negative of itself, so no row is left empty.
    kept = logits if left_out is None else logits.masked_fill(left_out, -torch.inf)
    return (torch.logsumexp(kept, 2) - logits.diagonal(dim1=1, dim2=2)).mean()


def _attract(logits: Tensor, positive: Tensor, no_negative: Tensor) -> Tensor:
    """Return the mean over rows of the mean over positives of log(e^s + sum of negatives) - s."""
    negatives = logits.masked_fill(no_negative, -torch.inf)
    # A finite floor instead of -inf: logaddexp of two -inf has no gradient.
    floor = torch.finfo(logits.dtype).min
    total = torch.logsumexp(negatives, 2, keepdim=True).clamp_min(floor)
    none_left = no_negative.all(1, keepdim=True)
    terms = torch.where(none_left, 0.0, torch.logaddexp(logits, total) - logits)
    return ((terms * positive).sum(2) / positive.sum(1)).mean()
