"""Views of training images: drawn by counters, masks and boxes in place, none in evaluation."""

from types import SimpleNamespace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from sista import tables
from sista.adaptation.detection import DetectionTask
from sista.adaptation.segmentation import SegmentationTask
from sista.adaptation.views import POLICIES, Policy, TrainingViews, placed_boxes
from sista.encoders.features import FeatureStore, prepare_images
from sista.encoders.image import ImageEncoder
from sista.openmmlab.training import ShuffledBatches
from sista.protocols._base import Settings
from tests.adapted import adapted
from tests.blobs import blobs, encoder_file

# Pixels as they are, 0 to 255.
PLAIN = SimpleNamespace(mean=(0.0,) * 3, std=(1 / 255,) * 3, standardise=False)
SIZE = 48
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("blobs")
    blobs(path, 24)
    return path


@pytest.fixture(scope="module")
def discs(folder):
    return tables.read(folder / "manifest.parquet", "manifest")


@pytest.fixture(scope="module")
def images(folder):
    return np.load(folder / "manifest.images.npy")


def made(images, policy, zoom=1.0, seed=3, encoder=PLAIN):
    sides = (SIZE, round(SIZE * zoom))
    return TrainingViews(images, range(len(images)), encoder, policy, *sides, seed, CPU)


def test_every_word_of_the_setting_has_a_policy():
    words = get_args(get_type_hints(Settings)["augment"])
    assert words[0] == "none"
    assert set(words[1:]) == set(POLICIES)


@pytest.mark.parametrize("word", POLICIES)
def test_a_view_depends_on_seed_image_and_visit_alone(images, word):
    views = made(images, POLICIES[word], 1.3)
    rows, visits = list(range(24)), [0, 1, 2] * 8
    whole, places = views.draw(rows, visits)
    for n in (1, 2, 5, 7):
        parts = [views.draw(rows[i : i + n], visits[i : i + n]) for i in range(0, 24, n)]
        assert torch.equal(torch.cat([part for part, _ in parts]), whole)
        np.testing.assert_array_equal(np.concatenate([place for _, place in parts]), places)
    turned, _ = views.draw(rows[::-1], visits[::-1])
    assert torch.equal(turned.flip(0), whole)
    again, _ = made(images, POLICIES[word], 1.3).draw(rows, visits)
    assert torch.equal(again, whole)
    for other in (
        made(images, POLICIES[word], 1.3, seed=4).draw(rows, visits)[0],
        views.draw(rows, [9] * 24)[0],
    ):
        assert sum(not torch.equal(*pair) for pair in zip(other, whole, strict=True)) > 15


@pytest.mark.parametrize("zoom", [1.0, 1.3])
def test_a_view_that_changes_nothing_is_what_is_evaluated(images, zoom):
    found, places = made(images, Policy(), zoom).draw(range(24), [0] * 24)
    expected = prepare_images(images, PLAIN, SIZE, round(SIZE * zoom))
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)
    start = (round(SIZE * zoom) - SIZE) // 2
    np.testing.assert_array_equal(places, [[[1, 0, start], [0, 1, start]]] * 24)


def drawn(images, word, zoom):
    return np.concatenate(
        [made(images, POLICIES[word], zoom).draw(range(24), [n] * 24)[1] for n in range(60)]
    )


def test_a_crop_shows_any_part_of_the_zoomed_image(images):
    places = drawn(images, "crop", 256 / 224)
    room = round(SIZE * 256 / 224) - SIZE
    np.testing.assert_array_equal(places[:, :, :2], np.broadcast_to(np.eye(2), (1440, 2, 2)))
    for axis in range(2):
        corners, counts = np.unique(places[:, axis, 2], return_counts=True)
        np.testing.assert_array_equal(corners, np.arange(room + 1))
        assert counts.min() > 0.7 * counts.mean()


def test_moco_mirrors_half_and_affine_moves_half_within_its_limits(images):
    mirrored = np.linalg.det(drawn(images, "moco", 1.3)[:, :, :2])
    assert np.abs(mirrored).tolist() == [1.0] * 1440
    assert abs((mirrored < 0).mean() - 0.5) < 0.05
    lines = drawn(images, "affine", 1.0)[:, :, :2]
    angle = np.rad2deg(np.arctan2(lines[:, 1, 0], lines[:, 0, 0]))
    factor = 1 / np.sqrt(np.linalg.det(lines))
    assert abs((angle != 0).mean() - 0.5) < 0.05
    assert 9 < angle.max() <= 10
    assert -10 <= angle.min() < -9
    assert 0.9 <= factor.min() < 0.91
    assert 1.09 < factor.max() <= 1.1


def test_brightness_and_contrast_of_four_in_five_change_and_half_are_blurred(images):
    flat = np.full((400, 96, 96), 100, np.uint8)
    level = made(flat, Policy(jittered=0.8, jitter=0.4)).draw(range(400), [0] * 400)[0]
    factor = level.mean((1, 2, 3)).numpy() / 100
    assert abs((np.abs(factor - 1) > 1e-4).mean() - 0.8) < 0.06
    assert 0.6 <= factor.min() < 0.65
    assert 1.35 < factor.max() <= 1.4 + 1e-5
    noise = np.random.default_rng(0).integers(0, 255, (400, 96, 96), dtype=np.uint8)
    sharp, blurred = (
        made(noise, policy).draw(range(400), [0] * 400)[0].std((1, 2, 3))
        for policy in (Policy(), Policy(blur=0.5))
    )
    # A sigma of 0.1 to 0.3 pixels is none to speak of.
    assert abs((blurred < 0.99 * sharp).float().mean() - 0.47) < 0.07


@pytest.mark.parametrize("zoom", [1.0, 1.3])
@pytest.mark.parametrize("word", ["crop", "affine", "moco"])
def test_masks_and_boxes_lie_on_what_the_encoder_is_shown(discs, images, word, zoom):
    frame, meta = discs
    policy = POLICIES[word]
    still = Policy(policy.crop, policy.flip, policy.moved, policy.scale, policy.rotate)
    rows = [n for n in range(24) if n % 3] * 3
    shown, places = made(images, still, zoom).draw(rows, [n // 16 for n in range(len(rows))])
    bright = shown[:, 0].numpy() > 155
    task = SegmentationTask(frame, meta, SIZE, zoom, {})
    samples = task.view_samples(rows, places)
    masks = np.concatenate([each.gt_sem_seg.data.numpy() for each in samples]).astype(bool)
    assert (masks & bright).sum() > 0.9 * (masks | bright).sum()
    detection = DetectionTask(frame, meta, SIZE, zoom, {})
    for seen, sample in zip(bright, detection.view_samples(rows, places), strict=True):
        boxes = sample.gt_instances.bboxes.numpy()
        assert "row" not in sample.metainfo
        lines, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        # A disc that is cut off no longer reaches to the sides of its box.
        if not {*lines, *columns} or {0, SIZE - 1} & {*lines, *columns}:
            continue
        tight = [columns[0], lines[0], columns[-1] + 1, lines[-1] + 1]
        # A turned box stands around the disc, by the sine of ten degrees of its side at most.
        np.testing.assert_allclose(boxes[0], tight, atol=1.0 if word != "affine" else 5.5)
        assert (boxes[0][:2] < np.add(tight[:2], 1)).all()
        assert (boxes[0][2:] > np.subtract(tight[2:], 1)).all()


def test_a_box_goes_where_its_corners_go():
    place = np.array([[0.0, -1.0, 50.0], [1.0, 0.0, 4.0]])
    corners = np.array([[10.0, 20.0, 16.0, 40.0]])
    seen = placed_boxes(corners, place)
    np.testing.assert_allclose(seen, [[16.0, 34.0, 36.0, 40.0]])
    back = seen[0].reshape(2, 2) @ place[:, :2].T + place[:, 2]
    np.testing.assert_allclose(np.sort(back, 0), corners[0].reshape(2, 2))


def test_what_a_rotation_brings_in_is_black():
    white = np.full((1, 96, 96), 255, np.uint8)
    turned, _ = made(white, Policy(moved=1.0, rotate=10.0)).draw([0], [0])
    assert float(turned.min()) == 0.0
    assert float(turned[0, 0, SIZE // 2, SIZE // 2]) == pytest.approx(255)


@pytest.mark.parametrize(
    ("head", "augment"), [("linear", "moco"), ("unet", "affine"), ("finetune", "moco")]
)
def test_training_sees_views_and_evaluation_does_not(folder, tmp_path, monkeypatch, head, augment):
    """A head that does not move gives the predictions of one that never saw a view."""
    drawn, encoded, evaluated = [], [], []
    draw, encode = TrainingViews.draw, ImageEncoder.forward

    def spied(self, positions, visits):
        drawn.append((list(positions), list(visits)))
        return draw(self, positions, visits)

    def counted(self, images, **words):
        encoded.append(len(images))
        return encode(self, images, **words)

    monkeypatch.setattr(TrainingViews, "draw", spied)
    monkeypatch.setattr(ImageEncoder, "forward", counted)
    inputs = FeatureStore.inputs
    monkeypatch.setattr(
        FeatureStore, "inputs", lambda self, rows: evaluated.extend(rows) or inputs(self, rows)
    )
    encoder = encoder_file(tmp_path / "resnet_tiny.safetensors", "resnet_tiny", "tiny")
    still = {"learning_rate": 1e-30, "weight_decay": 0.0, "zoom": 1.3, "batch": 8}
    still |= {
        "standardise": False,
        "iterations": None,
        "cosine": False,
        "epochs": 3,
        "most_steps": 0,
    }
    if head == "finetune":
        still["batch_norms"] = "frozen"
    if head == "unet":
        # Its own norms have running statistics, which training moves.
        monkeypatch.setattr(torch.nn.BatchNorm2d, "train", lambda self, mode=True: self)
    plain, _, _ = adapted(folder / "manifest.parquet", encoder, tmp_path / "a.parquet", head, still)
    assert not drawn
    before = len(encoded)
    seen, _, run = adapted(
        folder / "manifest.parquet",
        encoder,
        tmp_path / "b.parquet",
        head,
        still | {"augment": augment},
    )
    assert plain.equals(seen)
    assert run["resolved"]["100"]["augment"] == augment
    # Images 0 to 11 are the training set: in each epoch each once, under the epoch's number.
    trained = [
        [row for rows, visits in drawn if visits[0] == epoch for row in rows] for epoch in range(3)
    ]
    assert [sorted(rows) for rows in trained] == [list(range(12))] * 3
    assert {len(set(visits)) for _, visits in drawn} == {1}
    if head != "finetune":
        assert encoded[before:][-6:] == [8, 4] * 3
        assert not set(evaluated[len(evaluated) // 2 :]) & set(range(12))


def test_a_killed_training_by_epochs_goes_on_with_the_same_views(images):
    """What a view is drawn by is in the order of the batches, which a resumed run takes up."""
    whole = ShuffledBatches(range(10), lambda rows, visits: (rows, visits), 4, seed=5)
    epochs = [list(whole) for _ in range(3)]
    resumed = ShuffledBatches(range(10), lambda rows, visits: (rows, visits), 4, seed=5)
    resumed.passes = 2
    assert list(resumed) == epochs[2]
    assert {visit for _, visits in epochs[2] for visit in visits} == {2}


def test_by_iterations_every_pass_over_the_images_is_another_visit():
    batches = list(
        ShuffledBatches([7, 8, 9], lambda *both: list(zip(*both, strict=True)), 4, 0, iterations=6)
    )
    assert sorted(pair for batch in batches for pair in batch) == [
        (row, visit) for row in (7, 8, 9) for visit in range(8)
    ]
