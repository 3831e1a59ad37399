"""Detection: scored boxes of each image in native pixels."""

import json
from collections.abc import Iterator, Sequence

import numpy as np

from sista.metrics import detection as measures
from sista.metrics.values import Floats, Value, mean, value
from sista.tasks._base import Metric, Subset, Task, text

METRICS = (
    Metric("map_40_75", "mAP 40–75"),
    Metric("map_50_95", "mAP 50–95"),
    Metric("ap50", "AP50"),
    Metric("map_mgca", "mAP (MGCA filter)"),
    Metric("froc", "FROC"),
)
# FROC is the measure of Object-CXR's challenge; elsewhere nobody prints it.
FROC_DATASETS = ("object_cxr",)


def _evaluate(subset: Subset) -> Iterator[Value]:
    words = [metric.word for metric in METRICS if subset.wants(metric.word)]
    wanted = [word for word in words if word != "froc" or subset.dataset in FROC_DATASETS]
    predicted = [json.loads(text) for text in subset.rows["predicted"]]
    target = [json.loads(text) for text in subset.rows["target"]]
    present = sorted({str(box[4]) for boxes in target for box in boxes})
    found: dict[str, list[Floats]] = {}
    for label in [*subset.labels, *(n for n in present if n not in subset.labels)] or ["box"]:
        matches = measures.match(
            [[box[:5] for box in boxes if str(box[5]) == label] for boxes in predicted],
            [[box[:4] for box in boxes if str(box[4]) == label] for boxes in target],
        )
        for metric, values in _of_matches(matches, subset.weights, wanted).items():
            found.setdefault(metric, []).append(values)
            yield value(metric, label, values, len(target), "no box in these images")
    for metric, parts in found.items():
        yield value(metric, "all", mean(parts), len(target), "no box in these images")


def _of_matches(
    matches: measures.Matches, weights: Floats, wanted: Sequence[str]
) -> dict[str, Floats]:
    """Return the wanted metrics; the precision at an IoU that several share is computed once."""
    means = {"map_40_75": measures.IOU_40_75, "map_50_95": measures.IOU_50_95, "ap50": (0.50,)}
    needed = sorted({iou for name in wanted for iou in means.get(name, ())})
    at = {iou: measures.average_precision(matches, iou, weights) for iou in needed}
    return {
        name: np.mean([at[iou] for iou in means[name]], axis=0)
        if name in means
        else getattr(measures, name)(matches, weights)
        for name in wanted
    }


detection = Task(
    word="detection",
    title="Detection",
    columns={"predicted": text(), "target": text()},
    metrics=METRICS,
    evaluate=_evaluate,
    overall="all",
)
