"""Detection: boxes as the network sees them, and predicted boxes back in native pixels."""

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from sista.adaptation.task import Floats, HeadTask
from sista.adaptation.views import placed_boxes
from sista.openmmlab.detectors import DetDataSample
from sista.preparation.boxes import boxes_from_json


class DetectionTask(HeadTask):
    """Boxes of each image: x1, y1, x2, y2 in network pixels for the model, native in tables.

    Boxes are trained as far as the zoom leaves them, and scored whole: one that it cuts away is no
    target of the training but one of the score.
    """

    def read_targets(self) -> None:
        """Read the boxes, native and as the network sees them."""
        where = f"{self.meta['dataset']} manifest, row"
        columns = (self.frame[name] for name in ("boxes", "width", "height", "row"))
        self.native = [
            boxes_from_json(text, self.labels, width, height, f"{where} {row}")
            for text, width, height, row in zip(*columns, strict=True)
        ]
        self.corners = [self._corners(row) for row in range(len(self.frame))]
        self._samples: dict[int, DetDataSample] = {}

    def _corners(self, row: int, place: Floats | None = None) -> tuple[Floats, list[int]]:
        boxes = self.native[row]
        native = np.array([[b["x"], b["y"], b["w"], b["h"]] for b in boxes], dtype=float)
        corners = self.geometry[row].network_boxes(native.reshape(-1, 4))
        if place is not None:
            corners = placed_boxes(corners + self.geometry[row].start, place)
        labels = np.array([self.labels.index(str(box["label"])) for box in boxes], dtype=int)
        left = _left(corners, self.size)
        # A box that ends on the border must have its centre inside the last cell.
        return corners[left].clip(0, self.size - 1e-3), labels[left].tolist()

    @staticmethod
    def annotated(manifest: pd.DataFrame, meta: dict[str, Any]) -> "pd.Series[bool]":
        """Return the images annotated for boxes, those without any box included."""
        return manifest["boxes"].notna()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of boxes."""
        return tuple(self.meta["box_labels"])

    def refusal(self, rows: Sequence[int]) -> str | None:
        """Refuse rows without a single box."""
        if not any(len(self.corners[row][0]) for row in rows):
            return "no training image has a box"
        return None

    def samples(self, rows: Sequence[int]) -> list[DetDataSample]:
        """Return mmdetection's samples, made once an image."""
        for row in rows:
            if row not in self._samples:
                self._samples[row] = self._sample(*self.corners[row], row=row)
        return [self._samples[row] for row in rows]

    def view_samples(self, rows: Sequence[int], places: Floats) -> list[DetDataSample]:
        """Return mmdetection's samples of views."""
        return [
            self._sample(*self._corners(row, place))
            for row, place in zip(rows, places, strict=True)
        ]

    def _sample(self, corners: Floats, labels: list[int], **known: int) -> DetDataSample:
        bboxes = torch.from_numpy(corners).float()
        truth = InstanceData(bboxes=bboxes, labels=torch.tensor(labels, dtype=torch.long))
        shape = (self.size, self.size)
        metas = {**known, "img_shape": shape, "ori_shape": shape}
        return DetDataSample(gt_instances=truth, metainfo=metas)

    def predict(self, model: BaseModel, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield a row for each image, also for one without a box."""
        data = model.data_preprocessor(self.batch(list(rows)))
        detections = model.bbox_head.predict(
            model.extract_feat(data["inputs"]), data["data_samples"], rescale=False
        )
        for instances, row in zip(detections, rows, strict=True):
            predicted = self._to_native(instances, row)
            target = [[b["x"], b["y"], b["w"], b["h"], b["label"]] for b in self.native[row]]
            texts = {"predicted": json.dumps(predicted), "target": json.dumps(target)}
            yield {**self.identity(row), **texts}

    def _to_native(self, instances: InstanceData, row: int) -> list[list[Any]]:
        """Return [x, y, w, h, score, label] in native pixels, cut at the border of the film."""
        corners = instances.bboxes.cpu().double().numpy().reshape(-1, 4)
        boxes = self.geometry[row].native_boxes(corners).round(3).tolist()
        scores = instances.scores.cpu().double().numpy().tolist()
        labels = [self.labels[i] for i in instances.labels.tolist()]
        detections = zip(boxes, scores, labels, strict=True)
        return [
            [*box, score, label] for box, score, label in detections if box[2] > 0 and box[3] > 0
        ]

    def unjudged(self, rows: Sequence[int], monitor: str) -> str | None:
        """Return why these validation images cannot tell when to stop, or None."""
        reason = super().unjudged(rows, monitor)
        if reason or monitor == "loss":
            return reason
        boxes = sum(len(self.native[row]) for row in rows)
        return None if boxes else f"no validation box to stop by its {monitor}"

    def validation_score(self, model: BaseModel, rows: Sequence[int]) -> float:
        """Return COCO's mean average precision at IoU 0.40:0.05:0.75 on `rows`, 0 to 1."""
        frame = self.predictions(model, rows)
        predicted = [json.loads(text) for text in frame["predicted"]]
        return coco_map(predicted, [json.loads(text) for text in frame["target"]], self.labels)


def _left(corners: Floats, size: int) -> NDArray[np.bool_]:
    """Return which boxes can be trained: of each side a pixel, or half of it, must be left.

    A thinner sliver tells nothing, and the logarithm of its size would outweigh all other targets.

    Args:
        corners: x1, y1, x2, y2 in network pixels, `[N, 4]`.
        size: side of the network's square in pixels.
    """
    whole = corners[:, 2:] - corners[:, :2]
    seen = corners[:, 2:].clip(0, size) - corners[:, :2].clip(0, size)
    left: NDArray[np.bool_] = (seen >= np.minimum(whole / 2, 1.0)).all(axis=1)
    return left


def coco_map(
    predicted: Sequence[Sequence[Any]], target: Sequence[Sequence[Any]], labels: Sequence[str]
) -> float:
    """Return pycocotools' mean average precision at IoU 0.40:0.05:0.75; 0 without predictions.

    Args:
        predicted: per image [x, y, w, h, score, label].
        target: per image [x, y, w, h, label].
        labels: all labels.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entry(image: int, box: Sequence[Any]) -> dict[str, Any]:
        category = labels.index(box[-1])
        annotation = {"image_id": image, "category_id": category, "bbox": list(box[:4])}
        return {**annotation, "area": box[2] * box[3], "iscrowd": 0}

    truth = [entry(image, box) for image, boxes in enumerate(target) for box in boxes]
    detections = [
        {**entry(image, box), "score": box[4]}
        for image, boxes in enumerate(predicted)
        for box in boxes
    ]
    if not detections or not truth:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image} for image in range(len(target))],
            "categories": [{"id": i} for i in range(len(labels))],
            "annotations": [{**each, "id": i + 1} for i, each in enumerate(truth)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(detections), "bbox")
        evaluation.params.iouThrs = np.linspace(0.40, 0.75, 8)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, -1]
    known = precision[precision > -1]
    return float(known.mean()) if known.size else 0.0
