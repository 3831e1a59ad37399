"""GLoRIA's comparison of some images with some reports, with a backward pass that keeps little.

Autograd would keep several tensors `[N, P, B, W]`; here they are worked out again.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SMALLEST_NORM = 1e-8


def _attend(
    patches: Tensor, words: Tensor, mask: Tensor, scale: float, padded: bool
) -> tuple[Tensor, Tensor]:
    """Return both softmaxes of the words of C reports over T images, `[T, P, M]`, M = C x L.

    Returns:
        The softmax over words; and the softmax over patches without its denominator, since its
        mix is only used in a cosine. Its exponents lie in [0, scale]: no maximum is needed.
    """
    scores = patches @ words.flatten(0, 1).T
    apart = scores.view(*scores.shape[:2], *mask.shape)
    if padded:
        apart = apart.masked_fill_(~mask, -torch.inf)
    over_words = apart.softmax(3).flatten(2)
    return over_words, (over_words * scale).exp_()


class PairMatch(torch.autograd.Function):
    """`Z[T, C]` of T images and C reports, see `gloria_similarity`."""

    @staticmethod
    def forward(
        ctx: Any,
        patches: Tensor,
        words: Tensor,
        mask: Tensor,
        scales: tuple[float, float],
        keep: bool,
        padded: bool,
    ) -> Tensor:
        """Compare patches `[T, P, D]` with words `[C, L, D]`, 0 at padding, mask `[C, L]`."""
        weights = _attend(patches, words, mask, scales[0], padded)[1]
        context = weights.transpose(1, 2) @ patches
        flat = words.flatten(0, 1)
        lengths = context.norm(dim=2).clamp_min_(SMALLEST_NORM)
        word_lengths = flat.norm(dim=1).clamp_min_(SMALLEST_NORM)
        cosine = (context * flat).sum(2) / (lengths * word_lengths)
        matches = (scales[1] * cosine).view(-1, *mask.shape).masked_fill_(~mask, -torch.inf)
        kept = context if keep else None
        ctx.save_for_backward(patches, words, mask, cosine, lengths, word_lengths, kept)
        ctx.scales, ctx.padded = scales, padded
        result: Tensor = matches.logsumexp(2)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Work the attention out again and go back through it."""
        patches, words, mask, cosine, lengths, word_lengths, context = ctx.saved_tensors
        scale, match_scale = ctx.scales
        flat = words.flatten(0, 1)
        logits = (match_scale * cosine).view(-1, *mask.shape).masked_fill_(~mask, -torch.inf)
        to_cosine = (logits.softmax(2) * (match_scale * gradient).unsqueeze(2)).flatten(1)
        over_words, weights = _attend(patches, words, mask, scale, ctx.padded)
        if context is None:
            context = weights.transpose(1, 2) @ patches
        # cos = c·w / (|c| |w|): dc = up w - down c, and likewise for w.
        up = (to_cosine / (lengths * word_lengths)).unsqueeze(2)
        down = (to_cosine * cosine / lengths**2).unsqueeze(2)
        to_words = (up * context).sum(0)
        to_words -= ((to_cosine * cosine).sum(0) / word_lengths**2).unsqueeze(1) * flat
        to_context = (up * flat).addcmul_(down, context, value=-1.0)
        to_patches = weights @ to_context
        # Through exp(scale * softmax over words); the factor `scale` joins in the products below.
        flow = (patches @ to_context.transpose(1, 2)).mul_(weights).mul_(over_words)
        apart = flow.view(*flow.shape[:2], *mask.shape)
        total = apart.sum(3, keepdim=True)
        apart.addcmul_(over_words.view_as(apart), total, value=-1.0)
        rows = flow.flatten(0, 1)
        to_patches.flatten(0, 1).addmm_(rows, flat, alpha=scale)
        to_words.addmm_(rows.T, patches.flatten(0, 1), alpha=scale)
        return to_patches, to_words.view_as(words), None, None, None, None
