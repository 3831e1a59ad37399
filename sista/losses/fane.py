"""FaNe's losses: sigmoid pairs with similar reports as positives, hard negatives, few patches."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.losses.info_nce import pair_logits


def similarity_centre(similarity: Tensor) -> Tensor:
    """Return the mean cosine of unit report vectors to their mean vector, in [0, 1].

    It follows from their cosines alone: with f unit and m their mean, `f_i . m` is the mean of row
    i and `|m|^2` the mean of all, so the mean of `f_i . m / |m|` is the root of the mean.

    Args:
        similarity: `[B, B]` cosines with their diagonal of ones.
    """
    return similarity.mean().clamp_min(0.0).sqrt()


def fane_global(
    image: Tensor,
    report: Tensor,
    positive: Tensor,
    *,
    temperature: float,
    scale: float | Tensor,
    bias: float | Tensor,
) -> Tensor:
    """Ask for each pair whether its reports say the same.

    `1/B sum_ij softplus(h_ij (-scale cos_ij / temperature + bias))`, h = 1 for positives and -1
    for others.

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        positive: `[B, B]` bool; the diagonal counts as positive in any case.
        temperature: divides the cosines; 0.1.
        scale: multiplies them too; starts at log(1 / 0.07), learned.
        bias: threshold of the logits; 10 as in SigLIP. The public code starts at -10, with which
            every negative starts at a loss of 10.

    Returns:
        Sum over pairs divided by B, a scalar >= 0.
    """
    logits = scale * pair_logits(image, report, temperature)
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    sign = torch.where(positive | own, 1.0, -1.0).to(logits.dtype)
    return F.softplus(sign * (bias - logits)).sum() / len(logits)


def fane_intra(
    image: Tensor, report: Tensor, positive: Tensor, *, temperature: float, sharpness: float
) -> Tensor:
    """Push apart, inside each modality, what is alike although the reports are not.

    Row i: `sum_j softmax_j(x_ij / sharpness) x_ij` over its negatives j, with
    `x_ij = cos_ij / temperature` of images or of reports; mean of both.

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        positive: `[B, B]` bool; the diagonal counts as positive in any case.
        temperature: 0.07.
        sharpness: 0.07; the source divides twice, once for the logits and once for the weights.

    Returns:
        Mean over rows, a scalar; a row without negatives adds 0.
    """
    own = torch.eye(len(image), dtype=torch.bool, device=image.device)
    negative = ~(positive | own)
    some = negative.any(1)
    total = image.new_zeros(())
    for side in (image, report):
        alike = pair_logits(side, side, temperature)
        # A row without negatives keeps all for a finite softmax, and counts nothing.
        shown = alike.masked_fill(~negative & some[:, None], -torch.inf)
        weights = torch.softmax(shown / sharpness, 1)
        total = total + torch.where(some, (weights * alike).sum(1), 0.0).mean() / 2
    return total


def within_report(
    context: Tensor, sentences: Tensor, mask: Tensor, *, temperature: float
) -> Tensor:
    """Contrast each sentence with the visual contexts of the sentences of the same report.

    Args:
        context: `[B, S, D]` what each sentence found in the image, normalised inside.
        sentences: `[B, S, D]`, normalised inside.
        mask: `[B, S]` True at sentences.
        temperature: 0.07.

    Returns:
        Mean of both directions over valid sentences, then over reports, a scalar >= 0; a report of
        one sentence gives exactly 0.
    """
    logits = F.normalize(context, dim=-1) @ F.normalize(sentences, dim=-1).transpose(1, 2)
    logits = logits / temperature
    own = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    # The diagonal stays at padding too: a row of nothing else would be NaN, also in the gradient.
    logits = logits.masked_fill(~(mask[:, None, :] & mask[:, :, None] | own), -torch.inf)
    diagonal = logits.diagonal(dim1=1, dim2=2)
    each = (torch.logsumexp(logits, 1) + torch.logsumexp(logits, 2)) / 2 - diagonal
    return masked_mean(each, mask).mean()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the valid entries of the last dimension; 0 where none is valid."""
    kept = torch.where(mask, values, 0.0)
    return kept.sum(-1) / mask.sum(-1).clamp_min(1)
