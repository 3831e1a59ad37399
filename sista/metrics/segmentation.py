"""The five things called Dice in this field, each under its own name, from pixel counts per image.

Every metric takes an `Overlap` of n images and `weights` [..., n] (None = each image once), and
returns values [...] in [0, 1]. A value that is not defined (no image with a lesion) is NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Pixel counts of predicted and true masks, each [n].

    Attributes:
        both: pixels in prediction and target.
        predicted: pixels in the prediction.
        target: pixels in the target.
        pixels: pixels of the image.
    """

    both: Floats
    predicted: Floats
    target: Floats
    pixels: Floats


def overlap(predicted: ArrayLike, target: ArrayLike) -> Overlap:
    """Count the pixels of boolean masks, both [n, height, width]."""
    left, right = np.asarray(predicted, dtype=bool), np.asarray(target, dtype=bool)
    if left.shape != right.shape or left.ndim != 3:
        raise ValueError(f"masks {left.shape} and {right.shape} must be equal [n, height, width]")
    both, guessed, true = (
        np.asarray(m.sum(axis=(1, 2)), dtype=np.float64) for m in (left & right, left, right)
    )
    size = float(left[0].size if len(left) else 0)
    return Overlap(both, guessed, true, np.full(len(left), size))


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, NaN where below is 0."""
    result: Floats = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=result, where=np.asarray(below) > 0)
    return result


def _weights(counts: Overlap, weights: ArrayLike | None) -> Floats:
    return np.ones(len(counts.both)) if weights is None else np.asarray(weights, dtype=np.float64)


def per_image(counts: Overlap) -> Floats:
    """Return 2|P and T| / (|P| + |T|) of each image [n]; 1 where both are empty."""
    both_empty = counts.predicted + counts.target == 0
    value = _ratio(2 * counts.both, counts.predicted + counts.target)
    return np.where(both_empty, 1.0, value)


def dice_positive(counts: Overlap, weights: ArrayLike | None = None) -> Floats:
    """Return the mean Dice of the images with a lesion (definition 3; the default)."""
    weight = _weights(counts, weights) * (counts.target > 0)
    return _ratio((weight * per_image(counts)).sum(axis=-1), weight.sum(axis=-1))


def dice_per_image(counts: Overlap, weights: ArrayLike | None = None) -> Floats:
    """Return the mean Dice of all images, 1 for empty against empty (definition 1).

    An empty prediction everywhere scores the share of images without a lesion.
    """
    weight = _weights(counts, weights)
    return _ratio((weight * per_image(counts)).sum(axis=-1), weight.sum(axis=-1))


def dice_mgca(counts: Overlap, weights: ArrayLike | None = None, batch: int = 16) -> Floats:
    """Return the plain mean of batch means of the Dice per image (definition 2).

    Compatible with what GLoRIA and MGCA log: the last, smaller batch counts as much as the others,
    so the value depends on `batch` and on the order of the images.
    """
    weight = _weights(counts, weights)
    values = per_image(counts)
    rows = weight.reshape(-1, weight.shape[-1])
    # A sample with repeats is written out as a list of images, since batches are cut from lists.
    result = np.array([_mean_of_batches(np.repeat(values, r.astype(int)), batch) for r in rows])
    return result.reshape(weight.shape[:-1])


def _mean_of_batches(values: Floats, batch: int) -> float:
    if len(values) == 0:
        return float("nan")
    full = len(values) // batch * batch
    means = values[:full].reshape(-1, batch).mean(axis=1).tolist()
    if full < len(values):
        means.append(values[full:].mean())
    return float(sum(means) / len(means))


def dice_micro(counts: Overlap, weights: ArrayLike | None = None) -> Floats:
    """Return 2 sum|P and T| / sum(|P| + |T|) over all pixels of the set (definition 4)."""
    weight = _weights(counts, weights)
    both = (weight * counts.both).sum(axis=-1)
    return _ratio(2 * both, (weight * (counts.predicted + counts.target)).sum(axis=-1))


def mdice_mmseg(counts: Overlap, weights: ArrayLike | None = None) -> Floats:
    """Return the mean of the micro Dice of background and of lesion (definition 5)."""
    background = Overlap(
        both=counts.pixels - counts.predicted - counts.target + counts.both,
        predicted=counts.pixels - counts.predicted,
        target=counts.pixels - counts.target,
        pixels=counts.pixels,
    )
    return (dice_micro(background, weights) + dice_micro(counts, weights)) / 2
