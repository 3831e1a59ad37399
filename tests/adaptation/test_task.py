"""Masks, boxes and labels on their way to the model and back."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from sista import tables
from sista.adaptation.classification import ClassificationTask, LinearClassifier
from sista.adaptation.detection import DetectionTask, coco_map
from sista.adaptation.segmentation import SegmentationTask
from sista.encoders.features import prepare_images
from sista.errors import UserError
from sista.metrics.detection import map_40_75, match
from sista.preparation.frame import Frame
from sista.preparation.masks import from_json, to_json
from tests.blobs import blobs

NAN = float("nan")
ZOOMS = (1.0, 256 / 224, 1.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("blobs")


@pytest.fixture(scope="module")
def discs(folder):
    return tables.read(blobs(folder, 12), "manifest")


@pytest.fixture(scope="module")
def images(discs, folder):
    return np.load(folder / "manifest.images.npy")


def test_masks_and_their_absence(discs):
    frame, meta = discs
    task = SegmentationTask(frame, meta, 48, 1.0, {})
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
        SegmentationTask(broken, meta, 48, 1.0, {})
    small = frame.assign(mask=to_json(np.zeros((48, 48))))
    with pytest.raises(UserError, match=r"row 0: not a mask \(of \(48, 48\) px for a film"):
        SegmentationTask(small, meta, 48, 1.0, {})


def test_boxes_go_to_the_image_and_back(discs):
    frame, meta = discs
    frame = frame.assign(pad_y=8.0)
    task = DetectionTask(frame, meta, 48, 1.0, {})
    corners = torch.from_numpy(task.corners[1][0])
    (x, y, w, h) = (json.loads(frame["boxes"][1])[0][key] for key in "xywh")
    expected = [x / 4, y / 4 + 4, (x + w) / 4, (y + h) / 4 + 4]
    np.testing.assert_allclose(corners[0], np.clip(expected, 0, 48), atol=2e-3)
    found = InstanceData(bboxes=corners, scores=torch.tensor([0.5]), labels=torch.tensor([0]))
    back = task._to_native(found, 1)
    np.testing.assert_allclose(back[0][:4], [x, y, w, h], atol=0.02)
    assert back[0][4:] == [0.5, "disc"]
    assert task.refusal([0, 3]) == "no training image has a box"


def shown(images, zoom):
    """Return the images of the discs as the encoder gets them, `[N, 48, 48]`."""
    plain = SimpleNamespace(mean=(0.0,) * 3, std=(1 / 255,) * 3, standardise=False)
    return prepare_images(images, plain, 48, round(48 * zoom))[:, 0].numpy()


def box_of(mask):
    """Return x, y, w, h of the smallest box around a mask; zeros around none."""
    return [float(v) for v in coco_mask.toBbox(coco_mask.encode(np.asfortranarray(mask, np.uint8)))]


@pytest.mark.parametrize("zoom", ZOOMS)
def test_masks_and_boxes_lie_on_what_the_encoder_sees(discs, images, zoom):
    frame, meta = discs
    bright = shown(images, zoom) > 155
    masks = SegmentationTask(frame, meta, 48, zoom, {}).masks.astype(bool)
    # A shift by one pixel gives 0.81 to 0.89; ties of the nearest pixel at half the size cost 0.06.
    assert (masks & bright).sum() > 0.9 * (masks | bright).sum()
    tight = [[dict(zip("xywh", box_of(from_json(text)), strict=True))] for text in frame["mask"]]
    boxes = [json.dumps([b | {"label": "disc"} for b in each if b["w"]]) for each in tight]
    task = DetectionTask(frame.assign(boxes=boxes), meta, 48, zoom, {})
    for row, (corners, labels) in enumerate(task.corners):
        assert len(labels) == len(corners) == bright[row].any()
        for corner in corners:
            x, y, w, h = box_of(bright[row])
            np.testing.assert_allclose(corner, [x, y, x + w, y + h], atol=1.0)


@pytest.mark.parametrize("zoom", ZOOMS)
def test_targets_drawn_back_on_the_film_are_the_truth(discs, zoom):
    frame, meta = discs
    boxes, masks = (of(frame, meta, 48, zoom, {}) for of in (DetectionTask, SegmentationTask))
    for row, geometry in enumerate(boxes.geometry):
        low, high = geometry.native_points(np.array([[0.0, 0.0], [48, 48]])).clip(0, 192)
        corners, labels = boxes.corners[row]
        ids, scores = torch.tensor(labels, dtype=torch.long), torch.ones(len(labels))
        found = InstanceData(bboxes=torch.from_numpy(corners), scores=scores, labels=ids)
        for back, box in zip(boxes._to_native(found, row), boxes.native[row], strict=True):
            x, y, w, h = (box[key] for key in "xywh")
            ends = [np.clip(each, low, high) for each in ([x, y], [x + w, y + h])]
            np.testing.assert_allclose(back[:4], [*ends[0], *(ends[1] - ends[0])], atol=0.01)
        truth = from_json(frame["mask"][row])
        drawn = masks.geometry[row].native_mask(masks.masks[row])
        first, last = np.ceil(low - 0.5).astype(int), np.ceil(high - 0.5).astype(int)
        place = np.s_[first[1] : last[1], first[0] : last[0]]
        # Edges move by half a network pixel at most, which is two native ones and a third.
        assert (drawn[place] != truth[place]).mean() < 0.04
        assert drawn.sum() == drawn[place].sum()


def test_what_the_zoom_cuts_away_is_scored_but_not_trained(discs):
    frame, meta = discs
    # At zoom 1.5 the network sees native pixels 32 to 160 of 192, 2.67 a pixel.
    places = {"outside": (0, 0, 30, 100), "sliver": (0, 50, 34, 40), "cut": (20, 50, 40, 40)}
    boxes = [dict(zip("xywh", place, strict=True), label="disc") for place in places.values()]
    frame = frame.assign(boxes=json.dumps(boxes))
    task = DetectionTask(frame, meta, 48, 1.5, {})
    corners, labels = task.corners[0]
    np.testing.assert_allclose(corners, [[0, 18 * 3 / 8, 28 * 3 / 8, 58 * 3 / 8]], atol=1e-9)
    assert labels == [0]
    assert len(task.native[0]) == 3
    assert task.samples([0])[0].gt_instances.bboxes.shape == (1, 4)
    gone = DetectionTask(frame.assign(boxes=json.dumps(boxes[:2])), meta, 48, 1.5, {})
    assert gone.samples([0])[0].gt_instances.bboxes.shape == (0, 4)
    assert gone.refusal([0, 1]) == "no training image has a box"
    assert gone.unjudged([0], "map_40_75") is None
    mask = np.zeros((192, 192), np.uint8)
    mask[:, :30] = 1
    cut = SegmentationTask(frame.assign(mask=to_json(mask)), meta, 48, 1.5, {})
    assert cut.refusal([0]) == "no training image has a positive mask"


@given(st.integers(20, 3000), st.integers(20, 3000), st.data())
@settings(max_examples=60, deadline=None)
def test_without_zoom_every_box_is_trained(discs, width, height, data):
    frame, meta = discs
    place = vars(Frame.fitted(width, height, 96))
    row = {name: place[name] for name in ("scale", "pad_x", "pad_y", "width", "height")}
    x, y = (data.draw(st.floats(0, side - 0.02)) for side in (width, height))
    w = data.draw(st.floats(0.01, width - x))
    h = data.draw(st.just(height - y) | st.floats(0.01, height - y))
    text = json.dumps([{"label": "disc", "x": x, "y": y, "w": w, "h": h}])
    task = DetectionTask(frame[:1].assign(boxes=text, **row), meta, 48, 1.0, {})
    zoom = row["scale"] * 48 / 96.0
    low = (np.array([x, y]) - [-row["pad_x"] / row["scale"], -row["pad_y"] / row["scale"]]) * zoom
    expected = np.hstack((low, low + np.array([w, h]) * zoom)).clip(0, 48 - 1e-3)
    assert task.corners[0][0].tobytes() == expected.tobytes()


def test_unknown_box_label_names_the_row(discs):
    frame, meta = discs
    with pytest.raises(UserError, match="row 1: unknown box label 'disc'"):
        DetectionTask(frame, meta | {"box_labels": ["ring"]}, 48, 1.0, {})


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
    task = ClassificationTask(frame, meta, 48, 1.0, options)
    assert task.targets[:2].tolist() == [[0.0], [0.0]]
    unknown = ClassificationTask(frame, meta, 48, 1.0, options | {"label_policy": "as_is"})
    assert unknown.targets.isnan().all()
    assert unknown.refusal(range(12)) == "no training image has a known label"
    with pytest.raises(UserError, match="no label ring"):
        ClassificationTask(frame, meta, 48, 1.0, {"labels": ("ring",)})


@pytest.mark.parametrize("exclusive", [True, False])
def test_unknown_labels_do_not_count(exclusive):
    model = LinearClassifier(4, 2, exclusive, standardise=False)
    logits = torch.randn(3, 2)
    known = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    partly = torch.cat((known, torch.full((1, 2), NAN)))
    whole = model.loss(logits[:2], known)
    torch.testing.assert_close(model.loss(logits, partly), whole)
    assert model.loss(logits, torch.full((3, 2), NAN)) == 0
