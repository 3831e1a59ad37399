"""Detection: scored boxes of each image in native pixels."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco_mask

from sista.errors import UserError
from sista.metrics import detection as measures
from sista.metrics.values import Floats, Value, mean, value
from sista.tasks._arrays import AGAIN
from sista.tasks._base import Metric, Overlay, Subset, Task, text
from sista.tasks._overlay import PREDICTED, TARGET, write
from sista.tasks._rows import read_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sista.preparation.frame import Frame

METRICS = (
    Metric("map_40_75", "mAP 40–75"),
    Metric("map_50_95", "mAP 50–95"),
    Metric("ap50", "AP50"),
    Metric("map_mgca", "mAP (MGCA filter)"),
    Metric("froc", "FROC"),
)
# FROC is the measure of Object-CXR's challenge; elsewhere nobody prints it.
FROC_DATASETS = ("object_cxr",)
# Of the drawn boxes.
LEAST_SCORE, MOST_BOXES = 0.3, 5


def _evaluate(subset: Subset) -> Iterator[Value]:
    words = [metric.word for metric in METRICS if subset.wants(metric.word)]
    wanted = [word for word in words if word != "froc" or subset.dataset in FROC_DATASETS]
    predicted = read_boxes(subset.rows["predicted"], "x y w h score label")
    target = read_boxes(subset.rows["target"], "x y w h label")
    present = sorted({str(box[4]) for boxes in target for box in boxes})
    unknown = {*present, *(box[5] for boxes in predicted for box in boxes)} - {*subset.labels}
    if subset.labels and unknown:
        raise UserError(f"a box of the unknown label {min(unknown)[:50]!r}; {AGAIN}")
    by_metric: dict[str, list[Floats]] = {}
    for label in subset.labels or present or ["box"]:
        matches = measures.match(
            [[box[:5] for box in boxes if str(box[5]) == label] for boxes in predicted],
            [[box[:4] for box in boxes if str(box[4]) == label] for boxes in target],
        )
        for metric, values in _of_matches(matches, subset.weights, wanted).items():
            by_metric.setdefault(metric, []).append(values)
            yield value(metric, label, values, len(target), "no box in these images")
    for metric, parts in by_metric.items():
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


def _area(row: Mapping[Any, Any]) -> float:
    return float(sum(box[2] * box[3] for box in json.loads(row["target"])))


def _draw(axis: "Axes", row: Mapping[Any, Any], frame: "Frame") -> None:
    """Draw target boxes and the most certain predicted ones, and write the best IoU."""
    target = np.array([box[:4] for box in json.loads(row["target"])], dtype=np.float64)
    best = sorted(json.loads(row["predicted"]), key=lambda box: -float(box[4]))[:MOST_BOXES]
    certain = [box for box in best if box[4] >= LEAST_SCORE] or best[:1]
    for box in target:
        _rectangle(axis, box, frame, TARGET, 1.8, "-")
    for box in certain:
        _rectangle(axis, np.array(box[:4], dtype=np.float64), frame, PREDICTED, 1.4, "--")
    if certain:
        boxes = np.array([b[:4] for b in certain], dtype=np.float64)
        overlaps = coco_mask.iou(boxes, target, [0] * len(target))
        write(axis, f"IoU {100 * overlaps.max():.0f}, score {certain[0][4]:.2f}")
    else:
        write(axis, "no box")


def _rectangle(
    axis: "Axes", box: Floats, frame: "Frame", colour: str, width: float, line: str
) -> None:
    """Draw a box given in native pixels."""
    # Here, so that scoring needs no plots.
    from matplotlib.patches import Rectangle

    x, y, w, h = frame.prepared_boxes(box)
    axis.add_patch(Rectangle((x, y), w, h, fill=False, ec=colour, lw=width, ls=line))


detection = Task(
    word="detection",
    title="Detection",
    columns={
        "predicted": text("JSON list of [x, y, w, h, score, label] in native pixels"),
        "target": text("JSON list of [x, y, w, h, label] in native pixels"),
    },
    metrics=METRICS,
    evaluate=_evaluate,
    overall="all",
    overlay=Overlay(_area, _draw, " (boxes of the highest scores)"),
)
