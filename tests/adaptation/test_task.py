"""Masks, boxes and labels on their way to the model and back."""

import json

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from sista import tables
from sista.adaptation.classification import ClassificationTask
from sista.adaptation.detection import DetectionTask, coco_map
from sista.adaptation.segmentation import SegmentationTask, place_mask
from sista.errors import UserError
from sista.heads.linear import LinearClassifier
from sista.metrics.detection import map_40_75, match
from sista.preparation.masks import from_json
from tests.blobs import blobs

NAN = float("nan")


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    return tables.read(blobs(tmp_path_factory.mktemp("blobs"), 12), "manifest")


def test_mask_is_placed_with_scale_and_padding():
    # 40 x 20 native pixels, halved and centred in 20 x 20 prepared ones, shown at 10 x 10.
    mask = np.zeros((20, 40), dtype=np.uint8)
    mask[:, 20:] = 1
    placed = place_mask(mask, scale=0.5, pad_x=0.0, pad_y=5.0, prepared=20, size=10)
    expected = np.zeros((10, 10), dtype=np.uint8)
    # Rows whose centre lies in prepared pixels 5 to 15.
    expected[2:7, 5:] = 1
    expected[7, :] = 0
    np.testing.assert_array_equal(placed, expected)


def test_masks_and_their_absence(discs):
    frame, meta = discs
    task = SegmentationTask(frame, meta, 48, {})
    assert task.labels == ("disc",)
    assert task.masks.shape == (12, 48, 48)
    native = [from_json(text).mean() for text in frame["mask"]]
    np.testing.assert_allclose(task.masks.mean((1, 2)), native, atol=0.01)
    assert task.refusal([0, 3]) == "no training image has a positive mask"
    assert task.refusal([0, 1]) is None


def test_broken_mask_names_the_row(discs):
    frame, meta = discs
    broken = frame.assign(mask='{"size": [2, 2]}')
    with pytest.raises(UserError, match="row 0: not a mask"):
        SegmentationTask(broken, meta, 48, {})


def test_boxes_go_to_the_image_and_back(discs):
    frame, meta = discs
    frame = frame.assign(pad_y=8.0)
    task = DetectionTask(frame, meta, 48, {})
    corners = torch.from_numpy(task.corners[1][0])
    (x, y, w, h) = (json.loads(frame["boxes"][1])[0][key] for key in "xywh")
    expected = [x / 4, y / 4 + 4, (x + w) / 4, (y + h) / 4 + 4]
    np.testing.assert_allclose(corners[0], np.clip(expected, 0, 48), atol=2e-3)
    found = InstanceData(bboxes=corners, scores=torch.tensor([0.5]), labels=torch.tensor([0]))
    back = task._to_native(found, 1)
    np.testing.assert_allclose(back[0][:4], [x, y, w, h], atol=0.02)
    assert back[0][4:] == [0.5, "disc"]
    assert task.refusal([0, 3]) == "no training image has a box"


def test_unknown_box_label_names_the_row(discs):
    frame, meta = discs
    with pytest.raises(UserError, match="row 1: unknown box label 'disc'"):
        DetectionTask(frame, meta | {"box_labels": ["ring"]}, 48, {})


def test_validation_map_agrees_with_the_metric():
    random = np.random.default_rng(0)
    target, predicted = [], []
    for _ in range(20):
        boxes = np.round(random.uniform(10, 50, (random.integers(0, 3), 4)), 1)
        moved = boxes + random.normal(0, 3, boxes.shape)
        target.append([[*box, "a"] for box in boxes.tolist()])
        predicted.append([[*box, float(random.uniform()), "a"] for box in moved.tolist()])
    ours = map_40_75(
        match([[b[:5] for b in p] for p in predicted], [[b[:4] for b in t] for t in target])
    )
    assert coco_map(predicted, target, ["a"]) == pytest.approx(float(ours), abs=1e-6)
    assert coco_map([[]] * 20, target, ["a"]) == 0


def test_policy_and_labels_of_the_protocol(discs):
    frame, meta = discs
    frame = frame.assign(**{"label.disc": [-1.0, NAN] * 6})
    options = {"labels": ("disc",), "label_policy": "mixed"}
    task = ClassificationTask(frame, meta, 48, options)
    assert task.targets[:2].tolist() == [[0.0], [0.0]]
    unknown = ClassificationTask(frame, meta, 48, options | {"label_policy": "as_is"})
    assert unknown.targets.isnan().all()
    assert unknown.refusal(range(12)) == "no training image has a known label"
    with pytest.raises(UserError, match="no label ring"):
        ClassificationTask(frame, meta, 48, {"labels": ("ring",)})


@pytest.mark.parametrize("exclusive", [True, False])
def test_unknown_labels_do_not_count(exclusive):
    model = LinearClassifier(4, 2, exclusive, standardise=False)
    logits = torch.randn(3, 2)
    known = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    partly = torch.cat((known, torch.full((1, 2), NAN)))
    whole = model.loss(logits[:2], known)
    torch.testing.assert_close(model.loss(logits, partly), whole)
    assert model.loss(logits, torch.full((3, 2), NAN)) == 0
