"""Pointing: do word-patch maps lie on the true region of the finding that the word names?

A map is a distribution over the cells of a square grid that covers the image an encoder sees.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def region_share(
    mask: NDArray[np.bool_], columns: NDArray[np.int64], rows: NDArray[np.int64], grid: int
) -> Floats:
    """Return the share of each cell's area that a native mask covers, `[grid * grid]` in [0, 1].

    It is the mean over the points of a cell, which are spread evenly over the encoder's image.

    Args:
        mask: `[H, W]` at native size.
        columns: native pixels under the points along a side, `[grid * points a cell]`; those
            outside the mask lie beside the film.
        rows: likewise, from top to bottom.
        grid: cells a side.
    """
    height, width = mask.shape
    seen = np.zeros((len(rows), len(columns)))
    on_row, on_column = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    seen[np.ix_(on_row, on_column)] = mask[np.ix_(rows[on_row], columns[on_column])]
    share: Floats = seen.reshape(grid, -1, grid, len(columns) // grid).mean((1, 3)).ravel()
    return share


class Pointing(NamedTuple):
    """Scores of maps against a region; each `[...]` in [0, 1].

    Attributes:
        hit: pointing game with a tolerance of one cell: the largest weight lies on a cell that the
            region touches (Zhang et al. 2018 allow 15 pixels).
        precision: the same for a point drawn anywhere in that cell: share of the cell covered.
        mass: share of the map's weight inside the region, each cell counted by its covered share.
    """

    hit: Floats
    precision: Floats
    mass: Floats


def pointing(weights: Floats, share: Floats) -> Pointing:
    """Score maps; cells that tie for the largest weight count in equal parts.

    Args:
        weights: `[..., P]` >= 0; each map is normalised here, an empty one gives NaN.
        share: `[..., P]` from `region_share`.
    """
    # 0 / 0 of an empty map is the NaN that is promised.
    with np.errstate(invalid="ignore"):
        spread = weights / weights.sum(-1, keepdims=True)
    top = (weights == weights.max(-1, keepdims=True)).astype(float)
    top /= top.sum(-1, keepdims=True)
    return Pointing(
        hit=(top * (share > 0)).sum(-1),
        precision=(top * share).sum(-1),
        mass=(spread * share).sum(-1),
    )


def chance(share: Floats) -> Pointing:
    """Return what a map without any knowledge scores: the mean over uniformly drawn cells."""
    return pointing(np.ones_like(share), share)
