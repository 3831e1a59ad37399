"""The word side of sparse token alignment: an image must fit the words of its report better.

Inside one report the literal form tells words apart by what they are. Here present words compete
with words that the report lacks, on the same image.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.losses.contrast import cosine
from sista.losses.sta import Form, group
from sista.losses.sta_images import Pairs, Reduction, mean_over_words


def sta_words(
    pairs: Pairs,
    word_ids: Tensor,
    form: Form,
    *,
    temperature: float | Tensor,
    reports: int = 8,
    weights: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Contrast, on each image, each word of its report with words that the report lacks.

    `s(l) = cos(c_l, w_l) / temperature` with `c_l` the mix of patches that word l picks on the
    image; loss `-log e^{s(l)} / (e^{s(l)} + sum_m e^{s(m)})` over the words m of the next `reports`
    reports of the batch that do not stand in the image's own.

    Args:
        pairs: images and words; `shown` takes the place of the own images.
        word_ids: `[B, L]` integers that name the words; equal ids are equal words.
        form: how a word picks patches.
        temperature: divides the cosines.
        reports: other reports whose words are taken; at most B - 1 are used.
        weights: `[B, L]` >= 0, relevance of the words in the mean; None = equal.
        reduction: `study` gives the mean over the words of each study instead; NaN where no word
            of its own or none that it lacks is there.

    Returns:
        Mean over the words of studies that lack one, a scalar; 0 where none does. Or `[B]`.
    """
    patches, words, word_mask, shown = pairs
    seen = patches if shown is None else shown
    study = torch.arange(len(words), device=words.device)
    steps = torch.arange(1, min(reports, len(words) - 1) + 1, device=words.device)
    others = (study[:, None] + steps) % len(words)
    ids = word_ids.masked_fill(~word_mask, -1)
    theirs, their_ids = words[others].flatten(1, 2), ids[others].flatten(1)
    absent = (their_ids[:, :, None] != ids[:, None, :]).all(2) & (their_ids >= 0)
    own = cosine(group(words, seen, None, form), F.normalize(words, dim=-1)) / temperature
    # [CLS] has no number either; it is in every report, so it is never absent.
    fit = cosine(group(theirs, seen, None, form), F.normalize(theirs, dim=-1)) / temperature
    lacking = absent.any(1, keepdim=True)
    # A finite floor where nothing is absent: -inf alone has no gradient.
    floor = torch.finfo(fit.dtype).min
    rest = torch.logsumexp(fit.masked_fill(~absent, floor), 1, keepdim=True)
    counted = word_mask & lacking
    loss = torch.where(counted, torch.logaddexp(own, rest) - own, 0.0)
    return mean_over_words(loss, counted, weights, reduction)
