"""Detection metrics against the golden values, pycocotools and repeated images."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sista.metrics import detection
from sista.metrics.intervals import patient_weights

GOLDEN = Path(__file__).parents[1] / "golden" / "detection.json"


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def matches(golden):
    return detection.match(*_boxes(golden["images"]))


def _boxes(images):
    return (
        [image["predictions_xywh_score"] for image in images],
        [image["boxes_xywh"] for image in images],
    )


def _coco(predictions, boxes, thresholds):
    truth = COCO()
    flat = [(i, box) for i, group in enumerate(boxes) for box in group]
    truth.dataset = {
        "images": [{"id": i} for i in range(len(boxes))],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": k + 1, "image_id": i, "category_id": 1, "bbox": list(b[:4]), "iscrowd": 0}
            | {"area": b[2] * b[3]}
            for k, (i, b) in enumerate(flat)
        ],
    }
    found = [
        {"image_id": i, "category_id": 1, "bbox": list(p[:4]), "score": p[4]}
        for i, group in enumerate(predictions)
        for p in group
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(found), "bbox")
        run.params.iouThrs = np.array(thresholds)
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][:, :, 0, 0, -1].mean(axis=1)


def _made_up(seed, images=30):
    generator = np.random.default_rng(seed)
    boxes, predictions = [], []
    for _ in range(images):
        count = int(generator.integers(0, 4))
        true = np.hstack(
            [generator.random((count, 2)) * 100, 20 + generator.random((count, 2)) * 40]
        )
        near = np.repeat(true, 2, axis=0)
        near = near + generator.normal(0, 4, near.shape)
        noise = np.hstack([generator.random((3, 2)) * 100, 10 + generator.random((3, 2)) * 40])
        guess = np.vstack([near, noise])
        predictions.append(np.hstack([guess, generator.random((len(guess), 1))]))
        boxes.append(true)
    return predictions, boxes


def test_golden(golden, matches):
    exact = {"abs": 1e-9}
    for threshold, value in zip(detection.IOU_40_75, golden["ap_40_75"], strict=True):
        assert detection.average_precision(matches, threshold) == pytest.approx(value, **exact)
    assert detection.map_40_75(matches) == pytest.approx(golden["mAP_40_75"], **exact)
    assert detection.map_50_95(matches) == pytest.approx(golden["mAP_50_95"], **exact)
    assert detection.ap50(matches) == pytest.approx(golden["AP50"], **exact)
    # The source computes in single precision: equal after rounding to it.
    assert float(np.float32(detection.froc(matches))) == golden["froc_lovt"]
    compatible = golden["DEFECT_COMPATIBLE"]
    assert detection.map_mgca(matches) == pytest.approx(
        compatible["mgca_filter_and_conf50_mAP_40_75"], **exact
    )
    assert detection.map_mgca(matches, least=0.0) == pytest.approx(
        compatible["mgca_filter_only_mAP_40_75"], **exact
    )


@pytest.mark.parametrize("seed", range(4))
def test_against_pycocotools(seed):
    predictions, boxes = _made_up(seed)
    matches = detection.match(predictions, boxes)
    for threshold, value in zip(
        detection.IOU_ALL, _coco(predictions, boxes, detection.IOU_ALL), strict=True
    ):
        assert detection.average_precision(matches, threshold) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", ["map_40_75", "map_50_95", "ap50", "map_mgca", "froc"])
def test_weights_are_repeated_images(name):
    predictions, boxes = _made_up(11, images=12)
    matches = detection.match(predictions, boxes)
    weights = patient_weights([str(i) for i in range(12)], 15)
    function = getattr(detection, name)
    for row, value in zip(weights, function(matches, weights), strict=True):
        chosen = np.repeat(np.arange(12), row.astype(int))
        again = detection.match([predictions[i] for i in chosen], [boxes[i] for i in chosen])
        # FROC stops in the middle of repeated false alarms, so its levels differ a little.
        assert value == pytest.approx(function(again), abs=0.06 if name == "froc" else 1e-9)


def test_without_predictions_or_boxes():
    box = [[10, 10, 20, 20]]
    nothing = detection.match([[], []], [box, []])
    for name in ("map_40_75", "map_50_95", "ap50", "map_mgca", "froc"):
        assert getattr(detection, name)(nothing) == 0
    no_box = detection.match([[[1, 1, 5, 5, 0.9]]], [[]])
    assert np.isnan(detection.map_40_75(no_box))
    assert np.isnan(detection.froc(no_box))


def test_only_the_best_hundred_predictions_count():
    box = [[10.0, 10.0, 20.0, 20.0]]
    many = [[50.0, 50.0, 5.0, 5.0, 0.9]] * 100 + [[10.0, 10.0, 20.0, 20.0, 0.8]]
    assert detection.ap50(detection.match([many], [box])) == 0
