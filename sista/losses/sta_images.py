"""The image side of sparse token alignment: a word must fit its own image better than others.

Inside one report the literal form can be solved without looking: the word builds its own target.
Here the query is the same word on every image, so only the image can tell them apart.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sista.losses.contrast import cosine
from sista.losses.sta import Form, group

Reduction = Literal["mean", "study"]


class Pairs(NamedTuple):
    """Images and words of B studies.

    Attributes:
        patches: `[B, P, D]`.
        words: `[B, L, D]`; values at padding do not matter.
        word_mask: `[B, L]` bool.
        shown: `[B, P, D]` image that takes the place of the own one (the control "another
            patient's image"); the negatives stay as they are. None = `patches`.
    """

    patches: Tensor
    words: Tensor
    word_mask: Tensor
    shown: Tensor | None = None


def sta_images(
    pairs: Pairs,
    word_ids: Tensor,
    form: Form,
    *,
    temperature: float | Tensor,
    negatives: int = 8,
    weights: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Contrast, for each word, its own image with images whose reports lack the word.

    `s_l(j) = cos(c_l(j), w_l) / temperature` with `c_l(j)` the mix of patches of image j that
    word l picks; loss `-log e^{s_l(own)} / (e^{s_l(own)} + sum_j e^{s_l(j)})` over the next
    `negatives` images of the batch (in its order, which is random) whose reports lack word l.

    Args:
        pairs: images and words.
        word_ids: `[B, L]` integers that name the words; equal ids are equal words.
        form: how a word picks patches.
        temperature: divides the cosines.
        negatives: other images each word is compared with; at most B - 1 are used.
        weights: `[B, L]` >= 0, relevance of the words; None = equal.
        reduction: `study` gives the mean over the words of each study instead; NaN where none has
            a negative.

    Returns:
        Mean over the words that have a negative, a scalar; 0 where none has (B = 1). Or `[B]`.
    """
    patches, words, word_mask, shown = pairs
    count = min(negatives, len(patches) - 1)
    if count < 1:
        none = patches.sum((1, 2)) * 0.0
        return none + torch.nan if reduction == "study" else none.sum()
    study = torch.arange(len(patches), device=patches.device)
    images = (study[:, None] + torch.arange(1, count + 1, device=patches.device)) % len(patches)
    own = patches if shown is None else shown
    seen = torch.cat([own[:, None], patches[images]], 1)
    query = words[:, None].expand(-1, count + 1, -1, -1)
    unit = F.normalize(words, dim=-1)[:, None]
    scores = cosine(group(query, seen, None, form), unit) / temperature
    their_ids = word_ids[images].masked_fill(~word_mask[images], -1)
    lacks = (word_ids[:, None, :, None] != their_ids[:, :, None, :]).all(-1)
    # The own image stays in every row, so no row is -inf alone.
    kept = torch.cat([scores[:, :1], scores[:, 1:].masked_fill(~lacks, -torch.inf)], 1)
    counted = word_mask & lacks.any(1)
    # Words that do not count may hold anything, also values without a finite loss.
    loss = torch.where(counted, torch.logsumexp(kept, 1) - scores[:, 0], 0.0)
    return mean_over_words(loss, counted, weights, reduction)


def mean_over_words(
    loss: Tensor, counted: Tensor, weights: Tensor | None, reduction: Reduction
) -> Tensor:
    """Return the weighted mean of the losses of words.

    Args:
        loss: `[B, L]`, finite everywhere.
        counted: `[B, L]` bool, words that take part.
        weights: `[B, L]` >= 0; None = equal.
        reduction: `mean` of all words, 0 without any; `study` of each study, NaN without any.
    """
    share = counted.to(loss.dtype) if weights is None else weights * counted
    tiny = torch.finfo(share.dtype).tiny
    if reduction == "study":
        total = share.sum(1)
        mean = (share * loss).sum(1) / total.clamp_min(tiny)
        return mean.masked_fill(total == 0, torch.nan)
    return (share * loss).sum() / share.sum().clamp_min(tiny)


def sta_batch(
    pairs: Pairs,
    form: Form,
    *,
    temperature: float | Tensor,
    keep: Tensor | None = None,
    weights: Tensor | None = None,
    chunk: int = 0,
    reduction: Reduction = "mean",
) -> Tensor:
    """Contrast all images with all reports by word-patch scores, as GLoRIA on sparse attention.

    `Z_ij = sum_l u_jl cos(c_l(i), w_jl) / temperature` with `c_l(i)` the mix of patches of image i
    that word l of report j picks; InfoNCE over the rows and columns of Z (Huang et al. 2021 take
    log sum exp over the words and a softmax over patches instead).

    Args:
        pairs: images and words; a report without a word takes no part.
        form: how a word picks patches.
        temperature: divides the cosines.
        keep: `[B, B]` bool, pairs that may be negatives; the others (reports that say the same) are
            left out as in `sia`. None = all.
        weights: `[B, L]` >= 0, relevance of the words; None = equal.
        chunk: images at a time, recomputed in the backward pass; bounds the memory to
            `chunk * B * L * P` numbers. 0 = all at once.
        reduction: `study` gives the loss of each study instead; NaN for one without a word.

    Returns:
        Mean over both directions and the studies with a word, a scalar (or `[B]`).
    """
    patches, words, word_mask, shown = pairs
    share = word_mask.to(words.dtype) if weights is None else weights * word_mask
    share = share / share.sum(1, keepdim=True).clamp_min(torch.finfo(words.dtype).tiny)
    parts = patches.split(chunk or len(patches))  # type: ignore[no-untyped-call]
    score = [_scores(p, words, share, form, recompute=bool(chunk)) for p in parts]
    logits = torch.cat(score) / temperature
    own = torch.eye(len(patches), dtype=torch.bool, device=patches.device)
    if shown is not None:
        fit = cosine(group(words, shown, None, form), F.normalize(words, dim=-1))
        # Only the diagonal: what is shown takes the place of the own image, not of a negative.
        logits = torch.where(own, (share * fit).sum(1) / temperature, logits)
    has_words = word_mask.any(1)
    allowed = has_words[None, :] & has_words[:, None]
    if keep is not None:
        allowed = allowed & keep
    kept = logits.masked_fill(~(allowed | own), -torch.inf)
    both = torch.logsumexp(kept, 1) + torch.logsumexp(kept, 0) - 2 * logits.diagonal()
    loss = torch.where(has_words, both / 2, 0.0)
    if reduction == "study":
        return loss.masked_fill(~has_words, torch.nan)
    return loss.sum() / has_words.sum().clamp_min(1)


def _scores(patches: Tensor, words: Tensor, share: Tensor, form: Form, recompute: bool) -> Tensor:
    """Return `sum_l share_jl cos(c_l(i), w_jl)`, `[I, B]`, for I images and all reports."""

    def scored(some: Tensor, all_words: Tensor) -> Tensor:
        query = all_words.flatten(0, 1)
        fit = cosine(group(query, some, None, form), F.normalize(query, dim=-1))
        return (fit.view(len(some), *share.shape) * share).sum(-1)

    if recompute:
        return checkpoint(scored, patches, words, use_reentrant=False)  # type: ignore[no-any-return]
    return scored(patches, words)
