"""Segmentation: one binary mask of each label an image, as COCO run lengths at the image size."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pycocotools import mask as coco_mask

from sista.errors import UserError
from sista.metrics import segmentation as measures
from sista.metrics.values import Floats, Value, mean, value
from sista.preparation.masks import from_json, run_lengths
from sista.tasks._arrays import AGAIN
from sista.tasks._base import Metric, Overlay, Subset, Task, text
from sista.tasks._overlay import PREDICTED, TARGET, write
from sista.tasks._rows import check_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sista.preparation.frame import Frame

METRICS = (
    Metric("dice_positive", "Dice (images with a lesion)"),
    Metric("dice_per_image", "Dice (all images, empty = 1)"),
    Metric("dice_micro", "Dice (pooled pixels)"),
    Metric("mdice_mmseg", "Dice (with background)"),
    Metric("dice_mgca", "Dice (MGCA batches)"),
)
# The batches of the family's segmentation runs, which `dice_mgca` depends on.
BATCH = {"siim_acr": 8}


def _evaluate(subset: Subset) -> Iterator[Value]:
    check_labels(subset.rows, subset.labels)
    batch = BATCH.get(subset.dataset, 16)
    by_metric: dict[str, list[Floats]] = {}
    counted: dict[str, int] = {}
    for label in subset.labels:
        counts = rle_overlap(subset.rows[subset.rows["label"] == label])
        for metric in (metric.word for metric in METRICS if subset.wants(metric.word)):
            function = getattr(measures, metric)
            if metric == "dice_mgca":
                function = partial(function, batch=batch)
            values = function(counts, subset.weights)
            positive = int((counts.target > 0).sum())
            n = positive if metric == "dice_positive" else len(counts.both)
            by_metric.setdefault(metric, []).append(values)
            counted[metric] = max(n, counted.get(metric, 0))
            yield value(metric, label, values, n, "no image with a lesion")
    for metric, parts in by_metric.items():
        yield value(metric, "macro", mean(parts), counted[metric], "no image with a lesion")


def rle_overlap(part: pd.DataFrame) -> measures.Overlap:
    """Count the pixels of predicted and target masks given as COCO run lengths."""
    predicted, target = _codes(part, "prediction"), _codes(part, "target")
    for image, left, right in zip(part["image_id"], predicted, target, strict=True):
        if left["size"] != right["size"]:
            sizes = f"prediction of size {left['size']}, target of {right['size']}"
            raise UserError(f"image {image}: {sizes}; {AGAIN}")
        try:
            # pycocotools asks for so much to join both, and does not look whether it was given.
            np.empty(math.prod(left["size"]) + 1, np.uint32)
        except MemoryError as error:
            raise UserError(f"image {image}: its masks do not fit into memory; {AGAIN}") from error
    both = [
        coco_mask.area(coco_mask.merge([left, right], intersect=True))
        for left, right in zip(predicted, target, strict=True)
    ]
    return measures.Overlap(
        np.array(both, dtype=np.float64),
        np.array(coco_mask.area(predicted), dtype=np.float64),
        np.array(coco_mask.area(target), dtype=np.float64),
        np.array([left["size"][0] * left["size"][1] for left in predicted], dtype=np.float64),
    )


def _codes(part: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """Return the checked run lengths of a column."""
    codes = []
    for image, code in zip(part["image_id"], part[column], strict=True):
        try:
            codes.append(run_lengths(code))
        except UserError as error:
            raise UserError(f"image {image}, {column}: {error}") from error
    return codes


def _draw(axis: "Axes", row: Mapping[Any, Any], frame: "Frame") -> None:
    """Draw the predicted mask filled, the target as an outline, and write the Dice."""
    predicted = from_json(row["prediction"]).astype(bool)
    target = from_json(row["target"]).astype(bool)
    layer = np.zeros((*predicted.shape, 4))
    red, green, blue = (int(PREDICTED[start : start + 2], 16) / 255 for start in (1, 3, 5))
    layer[predicted] = (red, green, blue, 0.45)
    # The masks cover the network's square, whose side only they know.
    frame = replace(frame, size=len(target))
    low, high = frame.seen
    axis.imshow(layer, extent=(low, high, high, low), interpolation="nearest")
    steps = frame.prepared_steps(np.arange(len(target), dtype=np.float64) + 0.5)
    axis.contour(steps, steps, target.astype(float), levels=[0.5], colors=[TARGET], linewidths=1.6)
    total = predicted.sum() + target.sum()
    write(axis, f"Dice {100 * 2 * (predicted & target).sum() / total:.0f}" if total else "no mask")


def _area(row: Mapping[Any, Any]) -> float:
    return float(coco_mask.area(run_lengths(row["target"])))


segmentation = Task(
    word="segmentation",
    title="Segmentation",
    columns={
        "label": text("what is segmented"),
        "prediction": text("JSON of COCO run lengths at the protocol's image size"),
        "target": text("likewise"),
    },
    metrics=METRICS,
    evaluate=_evaluate,
    overlay=Overlay(_area, _draw),
)
