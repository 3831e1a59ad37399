"""Detection metrics of one class: COCO average precision, MGCA's variant of it, and FROC.

Predictions are matched with boxes once per image and IoU threshold; a bootstrap then only changes
the weights of images. Boxes are [x, y, width, height]. Without any prediction AP is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

IOU_40_75 = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75)
IOU_50_95 = (0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
IOU_ALL = tuple(sorted({*IOU_40_75, *IOU_50_95}))
MOST_PREDICTIONS = 100
RECALLS = np.linspace(0.0, 1.0, 101)
FALSE_POSITIVES_PER_IMAGE = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Matches:
    """Predictions of all images by falling score, with what each of them hits.

    Attributes:
        image: index of the image of each prediction, [d].
        score: [d].
        hit: whether it takes a box, per threshold, [thresholds, d].
        found: boxes whose inside holds the prediction's centre for the first time, [d].
        outside: whether the centre lies in no box, [d].
        boxes: number of boxes of each image, [n].
        thresholds: IoU thresholds of `hit`.
    """

    image: Integers
    score: Floats
    hit: NDArray[np.bool_]
    found: Floats
    outside: NDArray[np.bool_]
    boxes: Floats
    thresholds: tuple[float, ...]


def iou(predicted: Floats, boxes: Floats) -> Floats:
    """Return intersection over union of boxes [d, 4] and [g, 4], [d, g]; 0 for empty boxes."""
    low = np.maximum(predicted[:, None, :2], boxes[None, :, :2])
    high = np.minimum(
        (predicted[:, :2] + predicted[:, 2:4])[:, None], (boxes[:, :2] + boxes[:, 2:4])[None]
    )
    shared: Floats = np.clip(high - low, 0, None).prod(axis=2)
    areas = predicted[:, 2:4].prod(axis=1)[:, None] + boxes[:, 2:4].prod(axis=1)[None]
    union = areas - shared
    result: Floats = np.zeros_like(shared)
    np.divide(shared, union, out=result, where=union > 0)
    return result


def match(
    predictions: Sequence[ArrayLike],
    boxes: Sequence[ArrayLike],
    thresholds: tuple[float, ...] = IOU_ALL,
) -> Matches:
    """Match the predictions of every image with its boxes, as the COCO evaluator does.

    By falling score each prediction takes the free box of highest IoU (the later one of equals) if
    the IoU reaches the threshold; at most 100 predictions of an image count.

    Args:
        predictions: per image [d, 5] of x, y, width, height, score.
        boxes: per image [g, 4] (or wider, the rest is ignored).
        thresholds: IoU thresholds.
    """
    parts = []
    counts = np.zeros(len(boxes))
    for index, (predicted, true) in enumerate(zip(predictions, boxes, strict=True)):
        guess = np.asarray(predicted, dtype=np.float64).reshape(-1, 5)
        truth = np.asarray(true, dtype=np.float64)
        truth = truth.reshape(len(truth), -1)[:, :4] if truth.size else np.zeros((0, 4))
        counts[index] = len(truth)
        guess = guess[np.argsort(-guess[:, 4], kind="stable")][:MOST_PREDICTIONS]
        new, outside = _centres(guess, truth)
        hit = _hits(iou(guess, truth), thresholds)
        parts.append((np.full(len(guess), index), guess[:, 4], hit, new, outside))
    image = np.concatenate([p[0] for p in parts] or [np.zeros(0)]).astype(np.int64)
    score = np.concatenate([p[1] for p in parts] or [np.zeros(0)])
    hit = np.concatenate([p[2] for p in parts] or [np.zeros((len(thresholds), 0), bool)], axis=1)
    new = np.concatenate([p[3] for p in parts] or [np.zeros(0)])
    outside = np.concatenate([p[4] for p in parts] or [np.zeros(0, bool)])
    # Stable, as the merge sort of pycocotools: the order of equal scores decides AP.
    order = np.argsort(-score, kind="stable")
    return Matches(
        image[order], score[order], hit[:, order], new[order], outside[order], counts, thresholds
    )


def _hits(overlaps: Floats, thresholds: tuple[float, ...]) -> NDArray[np.bool_]:
    """Return which predictions (rows, by falling score) take a box, [thresholds, d]."""
    hit = np.zeros((len(thresholds), len(overlaps)), dtype=bool)
    if overlaps.size == 0:
        return hit
    for level, threshold in enumerate(thresholds):
        free = overlaps.copy()
        for row in np.flatnonzero(overlaps.max(axis=1) >= threshold):
            # Read backwards: of equal IoUs pycocotools takes the last box.
            best = free.shape[1] - 1 - int(np.argmax(free[row, ::-1]))
            if free[row, best] >= threshold:
                hit[level, row] = True
                free[:, best] = -1.0
    return hit


def _centres(guess: Floats, truth: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return per prediction the boxes its centre is the first to lie in, and if it is in none."""
    centre = (guess[:, :2] + guess[:, 2:4] / 2)[:, None]
    inside: NDArray[np.bool_] = np.all(
        (centre >= truth[:, :2]) & (centre <= truth[:, :2] + truth[:, 2:4]), axis=2
    )
    first: NDArray[np.bool_] = inside & (np.cumsum(inside, axis=0) == 1)
    return np.sum(first, axis=1, dtype=np.float64), ~np.any(inside, axis=1)


def average_precision(
    matches: Matches, threshold: float, weights: ArrayLike | None = None
) -> Floats:
    """Return COCO's 101-point average precision at one IoU threshold.

    Args:
        matches: of `match`, with this threshold among its own.
        threshold: IoU.
        weights: [..., n] of images (None = each once).

    Returns:
        Values [...]; 0 without a prediction, NaN without a box.
    """
    weight = np.ones(len(matches.boxes)) if weights is None else np.asarray(weights, np.float64)
    boxes = weight @ matches.boxes
    hits = np.flatnonzero(matches.hit[matches.thresholds.index(threshold)])
    if len(hits) == 0:
        return np.where(boxes > 0, 0.0, np.nan)
    true = np.cumsum(weight[..., matches.image[hits]], axis=-1)
    # How many predictions each image has up to each hit: whole numbers, so the product is exact.
    shown = np.zeros((len(hits), len(matches.boxes)))
    np.add.at(
        shown, (np.searchsorted(hits, np.arange(hits[-1] + 1)), matches.image[: hits[-1] + 1]), 1
    )
    total = weight @ np.cumsum(shown, axis=0).T
    precision = np.divide(true, total, out=np.zeros_like(true), where=total > 0)
    # The envelope: the best precision at this recall or any higher one.
    best = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    recall = np.divide(true, boxes[..., None], out=np.zeros_like(true), where=boxes[..., None] > 0)
    reached = np.searchsorted(RECALLS, recall, side="right")
    # Precision is read at the first prediction whose recall reaches 0, 0.01, ..., 1.
    points = np.diff(reached, axis=-1, prepend=0)
    area = (points * best).sum(axis=-1) / len(RECALLS)
    return np.where(boxes > 0, area, np.nan)


def _mean_precision(
    matches: Matches, thresholds: tuple[float, ...], weights: ArrayLike | None
) -> Floats:
    values = [average_precision(matches, threshold, weights) for threshold in thresholds]
    return np.asarray(np.mean(values, axis=0), dtype=np.float64)


def map_40_75(matches: Matches, weights: ArrayLike | None = None) -> Floats:
    """Return the mean AP over IoU 0.40:0.05:0.75 (the default; every image counts)."""
    return _mean_precision(matches, IOU_40_75, weights)


def map_50_95(matches: Matches, weights: ArrayLike | None = None) -> Floats:
    """Return COCO's mean AP over IoU 0.50:0.05:0.95."""
    return _mean_precision(matches, IOU_50_95, weights)


def ap50(matches: Matches, weights: ArrayLike | None = None) -> Floats:
    """Return the AP at IoU 0.50."""
    return average_precision(matches, 0.50, weights)


def map_mgca(matches: Matches, weights: ArrayLike | None = None, least: float = 0.5) -> Floats:
    """Return what MGCA's evaluation prints; defect-compatible, never a default.

    Predictions below score `least` are dropped, then images without a prediction and images
    without a box are left out, so false alarms and misses of whole images cost nothing.
    """
    kept = matches.score >= least
    confident = Matches(
        matches.image[kept],
        matches.score[kept],
        matches.hit[:, kept],
        matches.found[kept],
        matches.outside[kept],
        matches.boxes,
        matches.thresholds,
    )
    answered = np.bincount(confident.image, minlength=len(matches.boxes)) > 0
    weight = np.ones(len(matches.boxes)) if weights is None else np.asarray(weights, np.float64)
    value = map_40_75(confident, weight * (answered & (matches.boxes > 0)))
    any_box = weight @ matches.boxes > 0
    return np.where(np.isnan(value) & any_box, 0.0, value)


def froc(matches: Matches, weights: ArrayLike | None = None) -> Floats:
    """Return the mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4, 8 false positives per image.

    Object-CXR's metric as LoVT computes it: a prediction whose centre lies in a box hits all such
    boxes that were not hit before; a level that is never reached repeats the last one noted.
    """
    weight = np.ones(len(matches.boxes)) if weights is None else np.asarray(weights, np.float64)
    rows = weight.reshape(-1, weight.shape[-1])
    result = np.array([_froc_of_one(matches, row) for row in rows])
    return result.reshape(weight.shape[:-1])


def _froc_of_one(matches: Matches, weight: Floats) -> float:
    boxes, images = float(weight @ matches.boxes), float(weight.sum())
    if boxes == 0:
        return float("nan")
    each = weight[matches.image]
    sensitivity = np.cumsum(each * matches.found) / boxes
    alarms = np.cumsum(each * matches.outside) / images
    if len(sensitivity) == 0:
        return 0.0
    # The sensitivity is noted at the first prediction whose false alarms reach the level.
    first = np.searchsorted(alarms, FALSE_POSITIVES_PER_IMAGE, side="left")
    noted = sensitivity[first[first < len(sensitivity)]]
    missing = len(first) - len(noted)
    last = noted[-1] if len(noted) else sensitivity[-1]
    return float(np.concatenate([noted, np.full(missing, last)]).mean())
