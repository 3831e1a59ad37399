"""Values and bootstrap intervals of all metrics of one task, from the predictions of one subset."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sista.errors import UserError
from sista.metrics import classification, detection, segmentation
from sista.metrics.intervals import patient_weights, percentile_interval

Floats = NDArray[np.float64]
Metric = Callable[[Floats], Floats]

CLASSIFICATION = ("auroc", "auprc", "accuracy", "f1", "brier", "ece")
SEGMENTATION = ("dice_positive", "dice_per_image", "dice_micro", "mdice_mmseg", "dice_mgca")
DETECTION = ("map_40_75", "map_50_95", "ap50", "map_mgca", "froc")
# The batches of the family's segmentation runs, which `dice_mgca` depends on.
BATCH = {"siim_acr": 8}
FROC_DATASETS = ("object_cxr",)
OVERALL = ("macro", "all")


@dataclass(frozen=True)
class Value:
    """One metric of one subset: of a class, or over all classes (`macro`, `all`)."""

    metric: str
    label: str
    value: float
    low: float
    high: float
    n: int
    note: str | None
    replicates: Floats


def evaluate(
    task: str,
    part: pd.DataFrame,
    *,
    labels: Sequence[str],
    multiclass: bool,
    dataset: str,
    bootstrap: int,
    only: str | None = None,
) -> Iterator[Value]:
    """Yield all metrics of one subset, draw and fraction.

    Args:
        task: classification, segmentation or detection.
        part: rows of a predictions table of this task, of one subset, draw and fraction.
        labels: classes, in order.
        multiclass: the classes exclude each other.
        dataset: its word decides the batch size of `dice_mgca`.
        bootstrap: replicates over patients for the intervals; 0 = values only.
        only: restrict to this metric.
    """
    part = part.sort_values("image_id", kind="stable")
    patients = part.drop_duplicates("image_id")["patient_id"].tolist()
    weights = np.ones((1 + bootstrap, len(patients)))
    weights[1:] = patient_weights(patients, bootstrap)
    if task == "classification":
        yield from _classification(part, labels, multiclass, weights, only)
    elif task == "segmentation":
        yield from _segmentation(part, labels, weights, dataset, only)
    elif task == "detection":
        yield from _detection(part, labels, weights, dataset, only)
    else:
        raise UserError(f"no metrics for task {task!r}")


def _value(metric: str, label: str, values: Floats, n: int, why_undefined: str) -> Value:
    """Return a value with its interval; `values` is the value followed by its replicates."""
    low, high = percentile_interval(values[1:])
    undefined = bool(np.isnan(values[0]))
    return Value(
        metric,
        label,
        float(values[0]),
        float("nan") if undefined else low,
        float("nan") if undefined else high,
        n,
        why_undefined if undefined else None,
        values[1:],
    )


def _mean(parts: list[Floats]) -> Floats:
    """Return the mean over the classes that are defined in the whole sample; else NaN."""
    stacked = np.stack([p for p in parts if not np.isnan(p[0])] or parts)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    result: Floats = np.full(total.shape, np.nan)
    np.divide(total, count, out=result, where=count > 0)
    return result


def _classification(
    part: pd.DataFrame, labels: Sequence[str], multiclass: bool, weights: Floats, only: str | None
) -> Iterator[Value]:
    table = part.pivot(index="image_id", columns="label", values=["score", "target"])
    score = table["score"][list(labels)].to_numpy(dtype=np.float64)
    target = table["target"][list(labels)].to_numpy(dtype=np.float64)
    chosen = (score == score.max(axis=1, keepdims=True)) & (
        np.cumsum(score == score.max(axis=1, keepdims=True), axis=1) == 1
    )
    for metric in CLASSIFICATION:
        if only not in (None, metric):
            continue
        if metric == "accuracy" and multiclass:
            values = classification.accuracy_multiclass(target, score, weights)
            yield _value(metric, "all", values, len(score), "no image has a label")
            continue
        function = getattr(classification, metric)
        # One class of several is predicted where it has the highest probability.
        shown = chosen.astype(np.float64) if multiclass and metric == "f1" else score
        parts = []
        for column, label in enumerate(labels):
            truth = target[:, column]
            known = truth[~np.isnan(truth)]
            why = f"{int(known.sum())} positive among {len(known)} labelled images"
            parts.append(function(truth, shown[:, column], weights))
            yield _value(metric, label, parts[-1], len(known), why)
        yield _value(metric, "macro", _mean(parts), len(score), "not defined for any class")


def _segmentation(
    part: pd.DataFrame, labels: Sequence[str], weights: Floats, dataset: str, only: str | None
) -> Iterator[Value]:
    batch = BATCH.get(dataset.partition("@")[0], 16)
    found: dict[str, list[Floats]] = {}
    counted: dict[str, int] = {}
    for label in labels:
        counts = rle_overlap(part[part["label"] == label])
        for metric in SEGMENTATION:
            if only in (None, metric):
                function = getattr(segmentation, metric)
                if metric == "dice_mgca":
                    function = partial(function, batch=batch)
                values = function(counts, weights)
                positive = int((counts.target > 0).sum())
                n = positive if metric == "dice_positive" else len(counts.both)
                found.setdefault(metric, []).append(values)
                counted[metric] = max(n, counted.get(metric, 0))
                yield _value(metric, label, values, n, "no image with a lesion")
    for metric, parts in found.items():
        yield _value(metric, "macro", _mean(parts), counted[metric], "no image with a lesion")


def rle_overlap(part: pd.DataFrame) -> segmentation.Overlap:
    """Count the pixels of predicted and target masks given as COCO run lengths."""
    predicted = [json.loads(text) for text in part["prediction"]]
    target = [json.loads(text) for text in part["target"]]
    for image, left, right in zip(part["image_id"], predicted, target, strict=True):
        if left["size"] != right["size"]:
            raise UserError(
                f"image {image}: prediction of size {left['size']}, target of {right['size']}"
            )
    both = [
        coco_mask.area(coco_mask.merge([left, right], intersect=True))
        for left, right in zip(predicted, target, strict=True)
    ]
    return segmentation.Overlap(
        np.array(both, dtype=np.float64),
        np.array(coco_mask.area(predicted), dtype=np.float64),
        np.array(coco_mask.area(target), dtype=np.float64),
        np.array([left["size"][0] * left["size"][1] for left in predicted], dtype=np.float64),
    )


def _detection(
    part: pd.DataFrame, labels: Sequence[str], weights: Floats, dataset: str, only: str | None
) -> Iterator[Value]:
    wanted = [m for m in DETECTION if m != "froc" or dataset.partition("@")[0] in FROC_DATASETS]
    wanted = [m for m in wanted if only in (None, m)]
    predicted = [json.loads(text) for text in part["predicted"]]
    target = [json.loads(text) for text in part["target"]]
    present = sorted({str(box[4]) for boxes in target for box in boxes})
    found: dict[str, list[Floats]] = {}
    for label in [*labels, *(name for name in present if name not in labels)] or ["box"]:
        matches = detection.match(
            [[box[:5] for box in boxes if str(box[5]) == label] for boxes in predicted],
            [[box[:4] for box in boxes if str(box[4]) == label] for boxes in target],
        )
        for metric, values in _of_matches(matches, weights, wanted).items():
            found.setdefault(metric, []).append(values)
            yield _value(metric, label, values, len(target), "no box in these images")
    for metric, parts in found.items():
        yield _value(metric, "all", _mean(parts), len(target), "no box in these images")


def _of_matches(
    matches: detection.Matches, weights: Floats, wanted: Sequence[str]
) -> dict[str, Floats]:
    """Return the wanted metrics; the precision at an IoU that several share is computed once."""
    means = {"map_40_75": detection.IOU_40_75, "map_50_95": detection.IOU_50_95, "ap50": (0.50,)}
    needed = sorted({iou for name in wanted for iou in means.get(name, ())})
    at = {iou: detection.average_precision(matches, iou, weights) for iou in needed}
    return {
        name: np.mean([at[iou] for iou in means[name]], axis=0)
        if name in means
        else getattr(detection, name)(matches, weights)
        for name in wanted
    }
