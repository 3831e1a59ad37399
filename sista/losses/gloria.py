"""GLoRIA: every word of every report attends over the patches of every image.

Source: Huang et al. 2021 (ICCV), section 3; the constants are those of its configuration.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from sista.losses.gloria_pairs import Comparison, PairMatch
from sista.losses.info_nce import pair_logits

Aggregate = Literal["sum", "mean"]


def gloria_global(image: Tensor, report: Tensor, *, scale: float = 10.0) -> Tensor:
    """Return the sum of both cross entropies on `scale * cos`.

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        scale: multiplies the cosines.

    Returns:
        Sum of image→report and report→image, each a batch mean; 0 for B = 1.
    """
    return _both_ways(pair_logits(image, report, 1.0 / scale))


def gloria_local(
    patches: Tensor,
    words: Tensor,
    word_mask: Tensor,
    *,
    counts: Sequence[int] | None = None,
    attention_scale: float = 4.0,
    match_scale: float = 5.0,
    scale: float = 10.0,
    aggregate: Aggregate = "sum",
    chunk: int = 16,
    images: int | None = None,
    keep: bool = False,
) -> Tensor:
    """Return the sum of both cross entropies on `scale * Z`, Z from `gloria_similarity`.

    Args:
        patches: `[B, P, D]`, not normalised.
        words: `[B, W, D]`, not normalised.
        word_mask: `[B, W]` True at words.
        counts: see `gloria_similarity`, as are the arguments after `scale`.
        attention_scale: see there.
        match_scale: see there.
        scale: multiplies the similarities.
        aggregate: see there.
        chunk: see there.
        images: see there.
        keep: see there.

    Returns:
        Sum of image→report and report→image, each a batch mean; 0 for B = 1.
    """
    matches = gloria_similarity(
        patches,
        words,
        word_mask,
        counts=counts,
        attention_scale=attention_scale,
        match_scale=match_scale,
        aggregate=aggregate,
        chunk=chunk,
        images=images,
        keep=keep,
    )
    return _both_ways(scale * matches)


def gloria_similarity(
    patches: Tensor,
    words: Tensor,
    word_mask: Tensor,
    *,
    counts: Sequence[int] | None = None,
    attention_scale: float = 4.0,
    match_scale: float = 5.0,
    aggregate: Aggregate = "sum",
    chunk: int = 16,
    images: int | None = None,
    keep: bool = False,
) -> Tensor:
    """Compare every image with every report, word by word.

    For image i and report j: `A = softmax over patches of attention_scale * (softmax over words of
    w_l·p_k)`, `c_l = sum_k A_lk p_k`, `Z_ij = log sum_l exp(match_scale * cos(c_l, w_l))`.
    Reports are taken in chunks of similar length: little padding is computed.

    Args:
        patches: `[N, P, D]` of the images.
        words: `[B, W, D]` of the reports; values at padding do not matter.
        word_mask: `[B, W]` bool, True at words, which come before the padding.
        counts: words of each report, on the host; None = read from the mask (a host sync).
        attention_scale: of the softmax over patches.
        match_scale: of the cosines.
        aggregate: `mean` divides the sum over words by their number (a setting of the source).
        chunk: reports compared at a time; the result does not depend on it, the memory does.
        images: compared at a time; None = 4 on a CPU, whose caches then hold them, else all.
        keep: keep the `c_l` of all pairs for the backward pass: an eighth less to compute, 0.5 GB.

    Returns:
        `Z`, `[N, B]`.

    Raises:
        ValueError: a report has no word.
    """
    counts = word_mask.sum(1).tolist() if counts is None else list(counts)
    if min(counts) < 1:
        raise ValueError("every report needs a word: let [CLS] count as one (Needs.cls_word)")
    images = images or (4 if patches.is_cpu else len(patches))
    order = sorted(range(len(counts)), key=counts.__getitem__)
    columns, scales = list[Tensor](), (attention_scale, match_scale)
    # Sums of exponentials over patches and words: half precision has too few digits.
    with torch.autocast(patches.device.type, enabled=False):
        wide = torch.promote_types(patches.dtype, torch.float32)
        patches, words = patches.to(wide), words.to(wide)
        for start in range(0, len(order), chunk):
            some = order[start : start + chunk]
            most = counts[some[-1]]
            rows = torch.tensor(some).to(words.device, non_blocking=True)
            mask = word_mask[rows, :most]
            given = words[rows, :most].masked_fill(~mask.unsqueeze(2), 0.0)
            form = Comparison(*scales, images, keep, counts[some[0]] < most)
            columns.append(PairMatch.apply(patches, given, mask, form))
    back = torch.tensor(sorted(range(len(order)), key=order.__getitem__))
    matches = torch.cat(columns, 1)[:, back.to(words.device, non_blocking=True)]
    if aggregate == "mean":
        return matches - torch.tensor(counts).to(matches, non_blocking=True).log()
    return matches


def gloria_attention(
    patches: Tensor, words: Tensor, word_mask: Tensor, *, attention_scale: float = 4.0
) -> Tensor:
    """Return where each word looks in its own image: `A` of `gloria_similarity`.

    Args:
        patches: `[B, P, D]`.
        words: `[B, W, D]`.
        word_mask: `[B, W]` bool.
        attention_scale: of the softmax over patches.

    Returns:
        `[B, W, P]`; rows of words sum to 1, rows of padding too (uniform).
    """
    scores = words @ patches.transpose(1, 2)
    over_words = scores.masked_fill(~word_mask.unsqueeze(-1), -torch.inf).softmax(1)
    return (attention_scale * over_words).softmax(2)


def _both_ways(logits: Tensor) -> Tensor:
    own = logits.diagonal()
    return (torch.logsumexp(logits, 1) - own).mean() + (torch.logsumexp(logits, 0) - own).mean()
