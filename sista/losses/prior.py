"""PRIOR's local alignment of patches with sentences (Cheng et al. 2023, ICCV)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.losses.contrast import contrast_within


def sigmoid_attention(
    queries: Tensor, keys: Tensor, values: Tensor, key_mask: Tensor | None = None
) -> Tensor:
    """Return `sigmoid(q k^T / sqrt(D)) v`; weights do not sum to one.

    Args:
        queries: `[B, Q, D]`.
        keys: `[B, K, D]`.
        values: `[B, K, D]`.
        key_mask: `[B, K]` bool; None = every key counts.

    Returns:
        `[B, Q, D]`.
    """
    weights = torch.sigmoid(queries @ keys.transpose(1, 2) * keys.shape[-1] ** -0.5)
    if key_mask is not None:
        weights = weights.masked_fill(~key_mask.unsqueeze(1), 0.0)
        # A weight of 0 does not silence everything: 0 times infinity is NaN.
        values = values.masked_fill(~key_mask.unsqueeze(2), 0.0)
    return weights @ values


def sentence_contrast(
    contexts: Tensor, sentences: Tensor, mask: Tensor, *, temperature: float | Tensor
) -> Tensor:
    """Contrast each sentence with what the sentences of the same report saw in the image.

    Args:
        contexts: `[B, S, D]` visual context of each sentence, normalised inside.
        sentences: `[B, S, D]`, normalised inside.
        mask: `[B, S]` bool.
        temperature: divides the cosines; 0.01.

    Returns:
        `[B]`, mean over sentences of the mean of rows and columns; exactly 0 for one sentence.
    """
    allowed = mask[:, None, :] & mask[:, :, None]
    share = mask.to(contexts.dtype) / mask.sum(1, keepdim=True).clamp_min(1)
    return contrast_within(contexts, sentences, allowed, share, temperature)


def patch_agreement(
    patches: Tensor, contexts: Tensor, predictor: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the SimSiam loss (Chen & He 2021) between patches and what they saw in the text.

    `-1/2 [ cos(h(x), sg(e)) + cos(h(e), sg(x)) ]`, mean over patches; no negatives.

    Args:
        patches: `[B, P, D]`, x.
        contexts: `[B, P, D]`, e.
        predictor: h.

    Returns:
        `[B]` in [-1, 1].
    """
    forth = F.cosine_similarity(predictor(patches), contexts.detach(), dim=-1)
    back = F.cosine_similarity(predictor(contexts), patches.detach(), dim=-1)
    return -(forth + back).mean(1) / 2
