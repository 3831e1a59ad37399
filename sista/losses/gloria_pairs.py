"""GLoRIA's comparison of some images with some reports, with a backward pass that keeps nothing.

Autograd would keep several tensors `[N, P, B, W]`; here they are worked out again.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SMALLEST_NORM = 1e-8


class _Attended(NamedTuple):
    """What the words of C reports pick in T images; M = C x L.

    Attributes:
        over_words: `[T, P, M]` softmax over the words of each report.
        weights: `[T, P, M]` softmax over patches without its denominator: the context is only
            used in a cosine. Its exponents lie in [0, attention_scale], so no maximum is needed.
        context: `[T, M, D]`.
    """

    over_words: Tensor
    weights: Tensor
    context: Tensor


def _attend(patches: Tensor, words: Tensor, mask: Tensor, scale: float) -> _Attended:
    scores = patches @ words.flatten(0, 1).T
    apart = scores.view(*scores.shape[:2], *mask.shape)
    if not mask.is_cpu or not bool(mask.all()):
        apart = apart.masked_fill_(~mask, -torch.inf)
    over_words = apart.softmax(3).flatten(2)
    weights = (over_words * scale).exp_()
    return _Attended(over_words, weights, weights.transpose(1, 2) @ patches)


class PairMatch(torch.autograd.Function):
    """`Z[T, C]` of T images and C reports, see `gloria_similarity`."""

    @staticmethod
    def forward(
        ctx: Any, patches: Tensor, words: Tensor, mask: Tensor, scale: float, match_scale: float
    ) -> Tensor:
        """Compare patches `[T, P, D]` with words `[C, L, D]`, 0 at padding, mask `[C, L]`."""
        context = _attend(patches, words, mask, scale).context
        flat = words.flatten(0, 1)
        lengths = context.norm(dim=2).clamp_min_(SMALLEST_NORM)
        word_lengths = flat.norm(dim=1).clamp_min_(SMALLEST_NORM)
        cosine = (context * flat).sum(2) / (lengths * word_lengths)
        matches = (match_scale * cosine).view(-1, *mask.shape).masked_fill_(~mask, -torch.inf)
        ctx.save_for_backward(patches, words, mask, cosine, lengths, word_lengths)
        ctx.scales = (scale, match_scale)
        result: Tensor = matches.logsumexp(2)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        """Work the attention out again and go back through it in place."""
        patches, words, mask, cosine, lengths, word_lengths = ctx.saved_tensors
        scale, match_scale = ctx.scales
        flat = words.flatten(0, 1)
        logits = (match_scale * cosine).view(-1, *mask.shape).masked_fill_(~mask, -torch.inf)
        to_cosine = (logits.softmax(2) * (match_scale * gradient).unsqueeze(2)).flatten(1)
        over_words, weights, context = _attend(patches, words, mask, scale)
        # cos = c·w / (|c| |w|): dc = up w - down c, and likewise for w.
        up = to_cosine / (lengths * word_lengths)
        to_words = (up.unsqueeze(2) * context).sum(0)
        to_words -= ((to_cosine * cosine).sum(0) / word_lengths**2).unsqueeze(1) * flat
        down = to_cosine * cosine / lengths**2
        to_context = context.mul_(-down.unsqueeze(2)).addcmul_(up.unsqueeze(2), flat)
        to_patches = weights @ to_context
        # Through exp(scale * softmax over words); the factor `scale` joins in the products below.
        flow = (patches @ to_context.transpose(1, 2)).mul_(weights).mul_(over_words)
        apart = flow.view(*flow.shape[:2], *mask.shape)
        total = apart.sum(3, keepdim=True)
        apart.addcmul_(over_words.view_as(apart), total, value=-1.0)
        rows = flow.flatten(0, 1)
        to_patches.flatten(0, 1).addmm_(rows, flat, alpha=scale)
        to_words.addmm_(rows.T, patches.flatten(0, 1), alpha=scale)
        return to_patches, to_words.view_as(words), None, None, None
