"""Reports without padding: all their tokens in one row, whatever their lengths.

Pieces by length (`sista.encoders.chunks`) suit a CPU; a GPU starves on their many small products.
Here everything that looks at one token at a time sees true tokens alone, and only the attention,
a fortieth of the work, is padded. The row is filled up to one of few lengths, so that compiled code
and recorded graphs meet few shapes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

# What transformers calls our attention.
NAME = "sista_packed"
# Models that hand `packed` on to their attention and take positions as they are given.
PACKS = frozenset({"bert", "camembert", "roberta", "xlm-roberta"})
# Attention on a GPU wants widths of whole tiles.
TILE = 16
# Lengths of the row: so many steps up to that of a batch without any padding to leave out.
STEPS = 16


class Packed(NamedTuple):
    """Where the tokens of B reports of at most T tokens lie in one row of N.

    Attributes:
        where: `[N]` place in the flattened `[B * T]` of each token of the row; 0 for filling.
        filling: `[N]` True at what only fills the row up.
        row: `[B * T]` token of the row at each place; 0 at padding.
        real: `[B, T]` True at tokens.
    """

    where: Tensor
    filling: Tensor
    row: Tensor
    real: Tensor


def padded_width(longest: int) -> int:
    """Return the width T that reports of so many tokens are padded to."""
    return -(-longest // TILE) * TILE


def pack(
    length: NDArray[np.integer], width: int, moved: Callable[[NDArray[Any]], Tensor]
) -> Packed:
    """Work out on the host where the tokens of some reports go, so that no device is asked.

    Args:
        length: `[B]` tokens of each report.
        width: T, at least the longest.
        moved: brings an array to the device.
    """
    real = np.arange(width) < length[:, None]
    places = np.flatnonzero(real)
    step = -(-real.size // (STEPS * TILE)) * TILE
    where = np.zeros(-(-len(places) // step) * step, np.int64)
    where[: len(places)] = places
    row = np.zeros(real.size, np.int64)
    row[places] = np.arange(len(places))
    filling = np.arange(len(where)) >= len(places)
    return Packed(*map(moved, (where, filling, row, real)))


def positions(packed: Packed, first: int) -> Tensor:
    """Return the position `[1, N]` of each token in its report, counted from `first`."""
    return (packed.where % packed.real.shape[1] + first)[None]


def gather(padded: Tensor, packed: Packed) -> Tensor:
    """Return the row `[N, ...]` of padded values `[B, T, ...]`."""
    row: Tensor = _Gather.apply(padded.flatten(0, 1), *packed)  # type: ignore[no-untyped-call]
    return row


def spread(row: Tensor, packed: Packed) -> Tensor:
    """Return padded values `[B, T, ...]` of a row `[N, ...]`; at padding stands anything."""
    flat: Tensor = _Spread.apply(row, *packed)  # type: ignore[no-untyped-call]
    return flat.view(*packed.real.shape, *row.shape[1:])


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    packed: Packed | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Let the tokens of a report look at each other, in the form that transformers asks for.

    Args:
        module: the layer.
        query: `[1, H, N, D]`.
        key: likewise.
        value: likewise.
        attention_mask: None where the reports are packed.
        packed: where their tokens lie; None = not packed.
        dropout: of the weights.
        scaling: of the scores.
        others: what a layer hands on besides.

    Returns:
        `[1, N, H, D]`, and no weights.
    """
    if packed is None:
        form = {"dropout": dropout, "scaling": scaling, **others}
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **form
        )
        return plain
    q, k, v = (spread(x[0].transpose(0, 1), packed).transpose(1, 2) for x in (query, key, value))
    mask = packed.real[:, None, None]
    seen = scaled_dot_product_attention(q, k, v, mask, dropout, scale=scaling)
    return gather(seen.transpose(1, 2), packed)[None], None


AttentionInterface.register(NAME, attend)


# Not an index alone: its gradient would be an indexed sum, and a GPU sorts for that to give equal
# bits.
class _Gather(torch.autograd.Function):
    """From `[B * T, ...]` to `[N, ...]`; each token stands in one place only."""

    @staticmethod
    def forward(
        ctx: Any, padded: Tensor, where: Tensor, filling: Tensor, row: Tensor, real: Tensor
    ) -> Tensor:
        ctx.save_for_backward(row, real)
        return padded.index_select(0, where)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        row, real = ctx.saved_tensors
        return _cleared(gradients[0].index_select(0, row), ~real.flatten()), None, None, None, None


class _Spread(torch.autograd.Function):
    """From `[N, ...]` to `[B * T, ...]`: the other way."""

    @staticmethod
    def forward(
        ctx: Any, packed: Tensor, where: Tensor, filling: Tensor, row: Tensor, real: Tensor
    ) -> Tensor:
        ctx.save_for_backward(where, filling)
        return packed.index_select(0, row)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        where, filling = ctx.saved_tensors
        return _cleared(gradients[0].index_select(0, where), filling), None, None, None, None


def _cleared(value: Tensor, empty: Tensor) -> Tensor:
    return value.masked_fill_(empty.view(-1, *(1,) * (value.ndim - 1)), 0.0)
