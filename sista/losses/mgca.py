"""MGCA's token and prototype alignment (Wang et al. 2022, NeurIPS).

Its instance level is InfoNCE.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.losses.contrast import contrast_within
from sista.losses.sinkhorn import sinkhorn


def cta(
    patches: Tensor,
    words: Tensor,
    word_mask: Tensor,
    *,
    temperature: float = 0.1,
    word_attention: Tensor | None = None,
    patch_attention: Tensor | None = None,
    pads_in_softmax: bool = False,
    normalise_patch_context: bool = True,
) -> dict[str, Tensor]:
    """Align words with the patches they attend to, and patches with their words.

    With unit words w and patches p: `a_lk = softmax_k(w_l·p_k / t)`, `c_l` = unit vector of
    `sum_k a_lk p_k`, InfoNCE on `w_l·c_m / t` inside one report; the mirror softmax runs over the
    words.

    Args:
        patches: `[B, P, D]`, normalised inside.
        words: `[B, W, D]`, normalised inside; values at padding do not matter.
        word_mask: `[B, W]` bool.
        temperature: t.
        word_attention: `[B, W]` >= 0, of [CLS]; gives the weights (see `clipped_shares`); None =
            equal weights.
        patch_attention: `[B, P]`, likewise; None = equal weights, as the source does for ResNet.
        pads_in_softmax: compatibility with the released code, where padded words stay in the
            denominators of the contrast between words (their own weight is 0).
        normalise_patch_context: False is compatibility with the released code for ViT, where a
            patch's mix of words is not normalised.

    Returns:
        Scalars `word` and `patch`: weighted sums over words or patches, mean of rows and columns,
        mean over reports. A report without a word counts 0.
    """
    patches, words = F.normalize(patches, dim=-1), F.normalize(words, dim=-1)
    words = words if pads_in_softmax else words.masked_fill(~word_mask.unsqueeze(2), 0.0)
    scores = words @ patches.transpose(1, 2) / temperature
    context = scores.softmax(2) @ patches
    uniform = torch.ones_like(word_mask, dtype=patches.dtype)
    share = clipped_shares(uniform if word_attention is None else word_attention, word_mask)
    allowed = None if pads_in_softmax else word_mask[:, None, :] & word_mask[:, :, None]
    word = contrast_within(words, context, allowed, share, temperature)

    # The lowest number instead of -inf: a report without a word gives no NaN.
    low = torch.finfo(scores.dtype).min
    over_words = scores.masked_fill(~word_mask.unsqueeze(2), low).softmax(1)
    mix = over_words.transpose(1, 2) @ words.masked_fill(~word_mask.unsqueeze(2), 0.0)
    every = word_mask.any(1, keepdim=True).expand(-1, patches.shape[1])
    uniform = torch.ones_like(every, dtype=patches.dtype)
    share = clipped_shares(uniform if patch_attention is None else patch_attention, every)
    if normalise_patch_context:
        patch = contrast_within(patches, mix, None, share, temperature)
    else:
        logits = patches @ mix.transpose(1, 2) / temperature
        both = torch.logsumexp(logits, 2) + torch.logsumexp(logits, 1)
        patch = (share * (both / 2 - logits.diagonal(dim1=1, dim2=2))).sum(1)
    return {"word": word.mean(), "patch": patch.mean()}


@torch.no_grad()
def clipped_shares(attention: Tensor, mask: Tensor, low: float = 0.1, high: float = 0.9) -> Tensor:
    """Clip attention to two quantiles of its row and divide by the sum.

    Args:
        attention: `[B, L]` >= 0.
        mask: `[B, L]` bool; the quantiles are those of the valid entries (the source takes the
            entries that are not 0, so a true 0 counts as padding there).
        low: lower quantile, linear interpolation.
        high: upper quantile.

    Returns:
        `[B, L]`, 0 at padding, rows sum to 1 (0 where nothing is valid), without gradient.
    """
    # Torch has no quantiles in half precision.
    wide = attention.to(torch.promote_types(attention.dtype, torch.float32))
    known = wide.masked_fill(~mask, torch.nan)
    # Filled on the device: to bring numbers there from the host is a wait.
    ends = torch.stack([wide.new_full((), low), wide.new_full((), high)])
    bottom, top = known.nanquantile(ends, dim=1, keepdim=True).nan_to_num()
    clipped = wide.clamp(bottom, top).masked_fill(~mask, 0.0)
    return clipped / clipped.sum(1, keepdim=True).clamp_min(torch.finfo(wide.dtype).tiny)


def cpa(
    image: Tensor,
    report: Tensor,
    prototypes: Tensor,
    *,
    temperature: float = 0.2,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> Tensor:
    """Let the prototype codes of one modality supervise the other's softmax.

    With codes `q = sinkhorn(z)` of scores `z = feature·prototype`: the mean of `-q_image log
    softmax(z_report / t)` and `-q_report log softmax(z_image / t)`.

    Args:
        image: `[B, D]`, normalised inside.
        report: `[B, D]`, normalised inside.
        prototypes: `[K, D]` unit rows.
        temperature: of the softmax.
        epsilon: of the codes, see `sinkhorn`.
        iterations: of the codes.

    Returns:
        Mean of both directions, a scalar; the codes carry no gradient.
    """
    to_image = F.normalize(image, dim=-1) @ prototypes.T
    to_report = F.normalize(report, dim=-1) @ prototypes.T
    losses = [
        -(sinkhorn(ours, epsilon=epsilon, iterations=iterations) * theirs.log_softmax(1)).sum(1)
        for ours, theirs in (
            (to_image, to_report / temperature),
            (to_report, to_image / temperature),
        )
    ]
    return torch.stack(losses).mean()
