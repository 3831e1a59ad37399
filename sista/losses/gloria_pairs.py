"""GLoRIA's comparison of all images with some reports, with a backward pass that keeps little.

Autograd would keep several tensors `[N, P, B, W]`; here they are worked out again.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SMALLEST_NORM = 1e-8


class Comparison(NamedTuple):
    """How images and reports are compared; see `gloria_similarity`.

    Attributes:
        attention_scale: of the softmax over patches.
        match_scale: of the cosines.
        images: images compared at a time.
        keep: keep the contexts for the backward pass.
        padded: some of the reports are shorter than the longest.
    """

    attention_scale: float
    match_scale: float
    images: int
    keep: bool
    padded: bool


# Called outside autocast, which knows the forward pass alone: the products are worked out again in
# the backward pass and must be of the same precision.
class PairMatch(torch.autograd.Function):
    """`Z[N, C]` of N images and C reports, see `gloria_similarity`."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, words: Tensor, mask: Tensor, form: Comparison) -> Tensor:
        """Compare patches `[N, P, D]` with words `[C, L, D]`, 0 at padding, mask `[C, L]`."""
        flat = words.flatten(0, 1)
        # One block for all tiles: small ones that stay would leave gaps between those that go.
        kept = patches.new_empty(len(patches), *flat.shape) if form.keep else None
        cosine = patches.new_empty(len(patches), len(flat))
        lengths = torch.empty_like(cosine)
        for rows in _tiles(patches, form.images):
            weights = _attend(patches[rows], words, mask, form)[1].transpose(1, 2)
            if kept is None:
                context = torch.bmm(weights, patches[rows])
            else:
                context = torch.bmm(weights, patches[rows], out=kept[rows])
            torch.sum(context * flat, 2, out=cosine[rows])
            torch.linalg.vector_norm(context, dim=2, out=lengths[rows])
        lengths.clamp_min_(SMALLEST_NORM)
        word_lengths = flat.norm(dim=1).clamp_min_(SMALLEST_NORM)
        cosine.div_(lengths).div_(word_lengths)
        ctx.save_for_backward(patches, words, mask, cosine, lengths, word_lengths, kept)
        ctx.form = form
        matches: Tensor = _logits(cosine, mask, form).logsumexp(2)
        return matches

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Work the attention out again and go back through it."""
        patches, words, mask, cosine, lengths, word_lengths, kept = ctx.saved_tensors
        form: Comparison = ctx.form
        flat = words.flatten(0, 1)
        shares = _logits(cosine, mask, form).softmax(2)
        to_cosine = (shares * (form.match_scale * gradient).unsqueeze(2)).flatten(1)
        # cos = c·w / (|c| |w|): dc = up w - down c, and likewise for w.
        ups = (to_cosine / lengths / word_lengths).unsqueeze(2)
        downs = (to_cosine * cosine / lengths**2).unsqueeze(2)
        to_patches = patches.new_empty(patches.shape)
        to_words = -((to_cosine * cosine).sum(0) / word_lengths**2).unsqueeze(1) * flat
        for rows in _tiles(patches, form.images):
            part, up = patches[rows], ups[rows]
            over_words, weights = _attend(part, words, mask, form)
            context = weights.transpose(1, 2) @ part if kept is None else kept[rows]
            to_words += (up * context).sum(0)
            to_context = (up * flat).addcmul_(downs[rows], context, value=-1.0)
            # Through exp(scale * softmax over words); `scale` joins in the products below.
            flow = (part @ to_context.transpose(1, 2)).mul_(weights).mul_(over_words)
            apart = flow.view(*flow.shape[:2], *mask.shape)
            total = apart.sum(3, keepdim=True)
            apart.addcmul_(over_words.view_as(apart), total, value=-1.0)
            scale = form.attention_scale
            out = torch.bmm(weights, to_context, out=to_patches[rows])
            out.flatten(0, 1).addmm_(flow.flatten(0, 1), flat, alpha=scale)
            to_words.addmm_(flow.flatten(0, 1).T, part.flatten(0, 1), alpha=scale)
        return to_patches, to_words.view_as(words), None, None


def _tiles(patches: Tensor, images: int) -> Iterator[slice]:
    return (slice(start, start + images) for start in range(0, len(patches), images))


def _attend(
    patches: Tensor, words: Tensor, mask: Tensor, form: Comparison
) -> tuple[Tensor, Tensor]:
    """Return both softmaxes of the words of C reports over T images, `[T, P, M]`, M = C x L.

    Returns:
        The softmax over words; and the softmax over patches without its denominator, since its
        mix is only used in a cosine. Its exponents lie in [0, scale]: no maximum is needed.
    """
    scores = patches @ words.flatten(0, 1).T
    apart = scores.view(*scores.shape[:2], *mask.shape)
    if form.padded:
        apart = apart.masked_fill_(~mask, -torch.inf)
    over_words = apart.softmax(3).flatten(2)
    return over_words, (over_words * form.attention_scale).exp_()


def _logits(cosine: Tensor, mask: Tensor, form: Comparison) -> Tensor:
    """Return `[N, C, L]`, -inf at padding."""
    return (form.match_scale * cosine).view(-1, *mask.shape).masked_fill_(~mask, -torch.inf)
