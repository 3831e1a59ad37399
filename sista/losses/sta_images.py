"""The image side of sparse token alignment: a word must fit its own image better than others.

Inside one report the literal form can be solved without looking: the word builds its own target.
Here the query is the same word on every image, so only the image can tell them apart.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.losses.sparsify import Sparsify
from sista.losses.sta import group


def sta_images(
    patches: Tensor,
    words: Tensor,
    word_mask: Tensor,
    word_ids: Tensor,
    *,
    temperature: float | Tensor,
    negatives: int = 8,
    sparsify: Sparsify = "minmax",
    sigma: float | None = None,
    top_k: int = 8,
    stop_gradient: bool = False,
) -> Tensor:
    """Contrast, for each word, its own image with images whose reports lack the word.

    `s_l(j) = cos(c_l(j), w_l) / temperature` with `c_l(j)` the mix of patches of image j that
    word l picks; loss `-log e^{s_l(own)} / (e^{s_l(own)} + sum_j e^{s_l(j)})` over the next
    `negatives` images of the batch (in its order, which is random) whose reports lack word l.

    Args:
        patches: `[B, P, D]`.
        words: `[B, L, D]`.
        word_mask: `[B, L]` bool.
        word_ids: `[B, L]` integers that name the words; equal ids are equal words.
        temperature: divides the cosines.
        negatives: other images each word is compared with; at most B - 1 are used.
        sparsify: see `sparse_weights`.
        sigma: of `minmax`.
        top_k: of `topk`.
        stop_gradient: no gradient to the query through the weights.

    Returns:
        Mean over the words that have a negative, a scalar; 0 where none has (B = 1).
    """
    count = min(negatives, len(patches) - 1)
    if count < 1:
        return patches.sum() * 0.0
    place = torch.arange(len(patches), device=patches.device)
    images = (place[:, None] + torch.arange(count + 1, device=patches.device)) % len(patches)
    others = patches[images]
    mask = torch.ones(others.shape[:3], dtype=torch.bool, device=patches.device)
    query = words[:, None].expand(-1, count + 1, -1, -1)
    form: dict[str, Any] = {"sparsify": sparsify, "sigma": sigma, "top_k": top_k}
    grouped = group(query, others, mask, stop_gradient=stop_gradient, **form)
    scores = (F.normalize(grouped, dim=-1) * F.normalize(query, dim=-1)).sum(-1) / temperature
    their_ids = word_ids[images[:, 1:]].masked_fill(~word_mask[images[:, 1:]], -1)
    lacks = (word_ids[:, None, :, None] != their_ids[:, :, None, :]).all(-1)
    negative = scores[:, 1:].masked_fill(~lacks, -torch.inf)
    own = scores[:, 0]
    loss = torch.logsumexp(torch.cat([own[:, None], negative], 1), 1) - own
    counted = (word_mask & lacks.any(1)).to(loss.dtype)
    return (loss * counted).sum() / counted.sum().clamp_min(1.0)
