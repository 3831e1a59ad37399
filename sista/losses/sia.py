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
    logits = pair_logits(image, report, temperature)
    same = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    if mode == "soft":
        targets = torch.softmax(similarity.to(logits.dtype) / soft_temperature, dim=1)
        return (_soft(logits, targets) + _soft(logits.T, targets)) / 2
    if mode == "infonce":
        keep = torch.ones_like(same)
        return (_eliminate(logits, keep) + _eliminate(logits.T, keep)) / 2
    if threshold is None:
        raise ValueError(f"mode {mode!r} needs a threshold")
    false_negative = false_negatives(similarity, threshold)
    if mode == "eliminate":
        keep = ~false_negative
        return (_eliminate(logits, keep) + _eliminate(logits.T, keep)) / 2
    if mode == "attract":
        negative = (similarity <= (threshold if neutral is None else neutral)) & ~same
        positive = false_negative | same
        both = _attract(logits, positive, negative) + _attract(logits.T, positive, negative)
        return both / 2
    raise ValueError(f"unknown mode {mode!r}; valid: eliminate, attract, soft, infonce")


def false_negatives(similarity: Tensor, threshold: float | Tensor) -> Tensor:
    """Return which others say the same, `[B, B]` bool: strictly above the threshold, not oneself."""
    oneself = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    return (similarity > threshold) & ~oneself


def recentred(similarity: Tensor, centre: float | Tensor) -> Tensor:
    """Return FaNe's `(S - o) / (1 - o + 1e-6)`, which spreads similarities squeezed towards 1.

    Args:
        similarity: in [-1, 1].
        centre: o, the mean cosine of the reports to their mean direction, below 1.
    """
    return (similarity - centre) / (1.0 - centre + 1e-6)


def _eliminate(logits: Tensor, keep: Tensor) -> Tensor:
    """Return the mean of -log softmax of the diagonal among the kept entries of each row."""
    kept = logits.masked_fill(~keep, -torch.inf)
    return (torch.logsumexp(kept, 1) - logits.diagonal()).mean()


def _attract(logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Return the mean over rows of the mean over positives of log(e^s + sum of negatives) - s."""
    negatives = logits.masked_fill(~negative, -torch.inf)
    # A finite floor instead of -inf: logaddexp of two -inf has no gradient.
    floor = torch.finfo(logits.dtype).min
    total = torch.logsumexp(negatives, 1, keepdim=True).clamp_min(floor)
    has_negative = negative.any(1, keepdim=True)
    terms = torch.where(has_negative, torch.logaddexp(logits, total) - logits, 0.0 * logits)
    return ((terms * positive).sum(1) / positive.sum(1)).mean()


def _soft(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * torch.log_softmax(logits, 1)).sum(1).mean()
