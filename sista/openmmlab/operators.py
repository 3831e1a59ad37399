"""Stand-in for mmcv's compiled operators, on top of torchvision's native ones (CPU and CUDA).

mmcv has no wheel with operators and takes long to compile. mmdetection and mmsegmentation import
the names of all operators but these heads call few. The stand-in is registered as `mmcv._ext`
before either is imported; where a compiled mmcv is installed it steps aside.
"""

import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor

NAME = "mmcv._ext"


class OperatorModule(types.ModuleType):
    """The module `mmcv._ext`: any name that is not defined is an operator that raises."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_args: Any, **_kwargs: Any) -> NoReturn:
            raise NotImplementedError(
                f"mmcv operator {name!r} is not available without a compiled mmcv; "
                "install mmcv (not mmcv-lite) 2.1.0 to use models that need it"
            )

        return missing


def register_operators() -> bool:
    """Register the stand-in as `mmcv._ext`, once.

    Returns:
        True if the stand-in is in use, False if a compiled mmcv is.
    """
    present = sys.modules.get(NAME)
    if present is not None:
        return isinstance(present, OperatorModule)
    if importlib.util.find_spec(NAME) is not None:
        return False
    module = OperatorModule(NAME, __doc__)
    module.__spec__ = importlib.machinery.ModuleSpec(NAME, loader=None)
    for operator in (
        nms,
        softnms,
        roi_align_forward,
        roi_align_backward,
        sigmoid_focal_loss_forward,
        sigmoid_focal_loss_backward,
    ):
        setattr(module, operator.__name__, operator)
    sys.modules[NAME] = module
    return True


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices of the boxes kept, by falling score.

    Args:
        boxes: `[N, 4]` as x1, y1, x2, y2.
        scores: `[N]`.
        iou_threshold: boxes that overlap a better one by more are dropped.
        offset: 1 where widths count as `x2 - x1 + 1`, else 0.
    """
    from torchvision.ops import nms as torchvision_nms

    if offset:
        boxes = torch.cat((boxes[:, :2], boxes[:, 2:] + offset), dim=1)
    kept: Tensor = torchvision_nms(boxes, scores, iou_threshold)
    return kept


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lower the scores of overlapping boxes; fill `dets` `[N, 5]` and return indices `[K]`.

    Args:
        boxes: `[N, 4]`.
        scores: `[N]`.
        dets: written in place, its first K rows are boxes and new scores.
        iou_threshold: for methods 0 and 1.
        sigma: for method 2.
        min_score: boxes below are dropped.
        method: 0 hard, 1 linear, 2 Gaussian (Bodla et al. 2017).
        offset: as in `nms`.
    """
    corners, left = boxes.clone(), scores.clone()
    sides = corners[:, 2:] - corners[:, :2] + offset
    areas = sides.prod(1)
    # On the CPU, where mmcv calls this operator.
    alive = torch.ones(len(boxes), dtype=torch.bool)
    order: list[int] = []
    while bool(alive.any()):
        best = int(torch.where(alive, left, left.new_tensor(-torch.inf)).argmax())
        dets[len(order), :4], dets[len(order), 4] = corners[best], left[best]
        order.append(best)
        alive[best] = False
        low = torch.maximum(corners[:, :2], corners[best, :2])
        high = torch.minimum(corners[:, 2:], corners[best, 2:])
        inner = (high - low + offset).clamp(min=0).prod(1)
        overlap = inner / (areas + areas[best] - inner)
        if method == 2:
            weight = torch.exp(-(overlap**2) / sigma)
        else:
            lowered = 1 - overlap if method == 1 else torch.zeros_like(overlap)
            weight = torch.where(overlap >= iou_threshold, lowered, torch.ones_like(overlap))
        left = torch.where(alive, left * weight, left)
        alive &= left >= min_score
    return torch.tensor(order, dtype=torch.long)


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    _argmax_y: Tensor,
    _argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write average-pooled regions `[R, C, h, w]` into `output` (He et al. 2017)."""
    from torchvision.ops import roi_align

    _refuse_max_pooling(pool_mode)
    size = (aligned_height, aligned_width)
    output.copy_(roi_align(features, rois, size, spatial_scale, sampling_ratio, aligned))


def roi_align_backward(
    gradient: Tensor,
    rois: Tensor,
    _argmax_y: Tensor,
    _argmax_x: Tensor,
    grad_features: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the gradient of the features `[B, C, H, W]` into `grad_features`."""
    import torchvision  # noqa: F401  (registers the operator)

    _refuse_max_pooling(pool_mode)
    pooled = (aligned_height, aligned_width)
    backward = torch.ops.torchvision._roi_align_backward
    shape = tuple(grad_features.shape)
    grad_features.copy_(
        backward(gradient, rois, spatial_scale, *pooled, *shape, sampling_ratio, aligned)
    )


def _refuse_max_pooling(pool_mode: int) -> None:
    if pool_mode != 1:
        raise NotImplementedError("roi_align with max pooling needs a compiled mmcv; use 'avg'")


def sigmoid_focal_loss_forward(
    logits: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Write the focal loss of each logit `[N, C]` into `output` (Lin et al. 2017, eq. 5).

    Args:
        logits: `[N, C]`.
        target: `[N]` class of each row; C is the background.
        weight: `[C]`, weight of the target class, or empty.
        output: `[N, C]`.
        gamma: focusing exponent.
        alpha: weight of the positive term.
    """
    output.copy_(_focal(logits, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_logits: Tensor,
    *,
    gamma: float,
    alpha: float,
) -> None:
    """Write the gradient of the summed focal loss into `grad_logits` `[N, C]`."""
    with torch.enable_grad():
        inner = logits.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_focal(inner, target, weight, gamma, alpha).sum(), inner)
    grad_logits.copy_(gradient)


def _focal(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    from torchvision.ops import sigmoid_focal_loss

    classes = logits.shape[1]
    # Background is class C in mmdetection; it has no logit, so its column is dropped.
    truth = torch.nn.functional.one_hot(target, classes + 1)[:, :classes].to(logits.dtype)
    loss: Tensor = sigmoid_focal_loss(logits, truth, alpha=alpha, gamma=gamma)
    if weight.numel():
        padded = torch.cat((weight, weight.new_ones(1)))
        loss = loss * padded[target].unsqueeze(1)
    return loss
