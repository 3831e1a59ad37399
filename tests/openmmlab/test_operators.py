"""The stand-in for mmcv's operators against torchvision values and gradients."""

import importlib.util
import sys
import types

import pytest
import torch
from torchvision import ops

from sista.openmmlab.loading import load_mmseg
from sista.openmmlab.operators import NAME, OperatorModule, register_operators

load_mmseg()
from mmcv.ops import RoIAlign, SigmoidFocalLoss, nms, roi_align, soft_nms  # noqa: E402
from mmcv.ops.deform_conv import deform_conv2d  # noqa: E402


def boxes(n=60, seed=0):
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=random) * 40
    side = torch.rand(n, 2, generator=random) * 20 + 1
    return torch.cat((corner, corner + side), 1), torch.rand(n, generator=random)


def test_nms_keeps_what_torchvision_keeps():
    corners, scores = boxes()
    found, kept = nms(corners, scores, iou_threshold=0.4)
    assert torch.equal(kept, ops.nms(corners, scores, 0.4))
    assert torch.equal(found, torch.cat((corners[kept], scores[kept, None]), 1))


def test_nms_with_offset_counts_the_last_pixel():
    corners = torch.tensor([[0.0, 0, 9, 9], [0, 5, 9, 14]])
    scores = torch.tensor([0.9, 0.8])
    # 45 / 126 shared without offset, 50 / 150 with it.
    assert len(nms(corners, scores, 0.34, offset=0)[1]) == 2
    assert len(nms(corners, scores, 0.33, offset=1)[1]) == 1


def test_soft_nms_in_hard_mode_is_nms():
    corners, scores = boxes()
    _, kept = soft_nms(corners, scores, iou_threshold=0.4, method="naive", min_score=1e-6)
    assert torch.equal(kept, ops.nms(corners, scores, 0.4))


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_lowers_scores_by_overlap(method):
    corners = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [30, 30, 40, 40]])
    found, kept = soft_nms(corners, torch.tensor([0.9, 0.8, 0.7]), method=method, sigma=0.5)
    lowered = 0.8 * (0.5 if method == "linear" else torch.exp(torch.tensor(-(0.5**2) / 0.5)))
    assert kept.tolist() == [0, 2, 1]
    torch.testing.assert_close(found[:, 4], torch.tensor([0.9, 0.7, float(lowered)]))
    torch.testing.assert_close(found[:, :4], corners[kept])


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling", [0, 2])
def test_roi_align_values_and_gradients(aligned, sampling):
    features = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    corners, _ = boxes(5)
    rois = torch.cat((torch.tensor([0, 1, 0, 1, 1])[:, None], corners), 1).double()
    ours, theirs = (features.clone().requires_grad_() for _ in range(2))
    left = roi_align(ours, rois, (4, 3), 0.25, sampling, "avg", aligned)
    right = ops.roi_align(theirs, rois, (4, 3), 0.25, sampling, aligned)
    torch.testing.assert_close(left, right)
    weight = torch.randn_like(left)
    (left * weight).sum().backward()
    (right * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_roi_align_with_max_pooling_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="max pooling"):
        RoIAlign(2, pool_mode="max")(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5))


@pytest.mark.parametrize("weighted", [True, False])
def test_focal_loss_values_and_gradients(weighted):
    logits = torch.randn(8, 3)
    target = torch.tensor([0, 1, 2, 3, 3, 0, 1, 2])
    weight = torch.tensor([1.0, 2.0, 0.5]) if weighted else None
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    left = SigmoidFocalLoss(2.0, 0.25, weight, "mean")(ours, target)
    truth = torch.nn.functional.one_hot(target, 4)[:, :3].float()
    each = ops.sigmoid_focal_loss(theirs, truth, alpha=0.25, gamma=2.0)
    if weighted:
        each = each * torch.tensor([1.0, 2.0, 0.5, 1.0])[target][:, None]
    right = each.sum() / len(logits)
    torch.testing.assert_close(left, right)
    left.backward()
    right.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_other_operators_raise_when_called():
    with pytest.raises(NotImplementedError, match="compiled mmcv"):
        deform_conv2d(torch.zeros(1, 4, 8, 8), torch.zeros(1, 18, 6, 6), torch.zeros(4, 4, 3, 3))
    with pytest.raises(NotImplementedError, match="'ball_query_forward'"):
        sys.modules[NAME].ball_query_forward()


def test_registration_is_found_and_repeats():
    assert register_operators()
    assert importlib.util.find_spec(NAME) is not None


def test_steps_aside_where_mmcv_is_compiled(monkeypatch):
    compiled = types.ModuleType(NAME)
    monkeypatch.setitem(sys.modules, NAME, compiled)
    assert not register_operators()
    assert sys.modules[NAME] is compiled
    assert not isinstance(compiled, OperatorModule)
