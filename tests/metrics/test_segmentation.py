"""The five Dice definitions against the golden values and brute force on repeated images."""

from pathlib import Path

import numpy as np
import pytest

from sista.metrics import segmentation
from sista.metrics.intervals import patient_weights

GOLDEN = Path(__file__).parents[1] / "golden" / "dice.npz"


@pytest.fixture
def golden():
    return np.load(GOLDEN)


@pytest.fixture
def counts(golden):
    return segmentation.overlap(golden["prob"] > 0.5, golden["mask"])


def test_golden(golden, counts):
    exact = {"abs": 1e-12}
    np.testing.assert_allclose(segmentation.per_image(counts), golden["per_image"], atol=1e-12)
    assert segmentation.dice_positive(counts) == pytest.approx(golden["positives_only"], **exact)
    assert segmentation.dice_per_image(counts) == pytest.approx(golden["per_image_mean"], **exact)
    assert segmentation.dice_micro(counts) == pytest.approx(golden["micro"], **exact)
    assert segmentation.mdice_mmseg(counts) == pytest.approx(golden["mmseg_mDice"], **exact)
    for size in (1, 4, 5, 8):
        value = segmentation.dice_mgca(counts, batch=size)
        assert value == pytest.approx(golden[f"batched_bs{size}"], **exact)


def test_weights_are_repeated_images(golden, counts):
    weights = patient_weights([str(i) for i in range(12)], 25)
    names = ("dice_positive", "dice_per_image", "dice_micro", "mdice_mmseg", "dice_mgca")
    for name in names:
        function = getattr(segmentation, name)
        for row, value in zip(weights, function(counts, weights), strict=True):
            chosen = np.repeat(np.arange(12), row.astype(int))
            again = segmentation.overlap(golden["prob"][chosen] > 0.5, golden["mask"][chosen])
            assert value == pytest.approx(function(again), nan_ok=True)


def test_no_lesion_is_undefined_and_empty_prediction_scores_the_empty_share():
    empty = np.zeros((4, 3, 3))
    assert np.isnan(segmentation.dice_positive(segmentation.overlap(empty, empty)))
    target = empty.copy()
    target[0, 1, 1] = 1
    assert segmentation.dice_per_image(segmentation.overlap(empty, target)) == 0.75
    with pytest.raises(ValueError, match="equal"):
        segmentation.overlap(empty, empty[:2])
