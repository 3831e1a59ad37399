"""Losses on masks against the formulas of MGCA's `MixedLoss`, written out in numpy."""

import numpy as np
import pytest
import torch

from sista.losses.mask import focal, log_dice, soft_dice
from sista.openmmlab.segmentors import MaskLoss


@pytest.fixture
def masks():
    random = np.random.default_rng(0)
    logits, target = random.normal(0, 2, (3, 1, 8, 8)), random.random((3, 1, 8, 8)) < 0.3
    return torch.from_numpy(logits), torch.from_numpy(target).double()


def written_out(logits, target):
    """Return the focal loss and the Dice overlap of the whole batch."""
    p, t = 1 / (1 + np.exp(-logits.numpy())), target.numpy()
    right = np.where(t == 1, p, 1 - p)
    dice = (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    return (-((1 - right) ** 2) * np.log(right)).mean(), dice


def test_the_loss_of_mgca_is_ten_times_focal_minus_the_logarithm_of_dice(masks):
    logits, target = masks
    entropy, dice = written_out(logits, target)
    loss = MaskLoss(10.0, logarithm=True)(logits, target[:, 0])
    assert float(loss) == pytest.approx(10 * entropy - np.log(dice))
    bounded = MaskLoss(10.0)(logits, target[:, 0])
    assert float(bounded) == pytest.approx(10 * entropy + 1 - dice)
    assert float(focal(logits, target)) == pytest.approx(entropy)
    assert float(soft_dice(logits, target)) == pytest.approx(1 - dice)


def test_the_logarithm_is_finite_without_any_overlap():
    logits, target = torch.full((1, 1, 64, 64), -100.0), torch.ones(1, 1, 64, 64)
    logits.requires_grad_()
    loss = log_dice(logits, target)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(64 * 64 + 1), rel=1e-5)
    assert logits.grad.isfinite().all()
