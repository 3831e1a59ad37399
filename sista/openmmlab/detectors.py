"""mmdetection: a YOLOv3 detector on the frozen encoder, with targets computed once an image."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from sista.openmmlab.backbone import FeatureShape
from sista.openmmlab.loading import load_mmdet
from sista.openmmlab.training import PassThrough

load_mmdet()

from mmdet.models.dense_heads import YOLOV3Head  # noqa: E402
from mmdet.models.detectors import YOLOV3  # noqa: E402
from mmdet.models.utils import images_to_levels, multi_apply  # noqa: E402
from mmdet.registry import MODELS as MMDET_MODELS  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402

__all__ = ["DetDataSample", "FixedTargetYOLOV3Head", "yolov3_detector"]

# mmdetection's YOLOv3 anchors (width, height), made for images of 416 px; coarse to fine.
ANCHOR_SIZE = 416
ANCHORS = (
    ((116, 90), (156, 198), (373, 326)),
    ((30, 61), (62, 45), (59, 119)),
    ((10, 13), (16, 30), (33, 23)),
)


@MMDET_MODELS.register_module()
class FixedTargetYOLOV3Head(YOLOV3Head):  # type: ignore[misc]
    """YOLOv3 head that keeps the targets of an image it has seen.

    Assigning targets anew takes longer than the whole step of a small head. Samples are told apart
    by the meta key `row`; one without it is a view that is never seen again, and is not kept.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._targets: dict[int, tuple[Tensor, Tensor]] = {}

    def loss_by_feat(
        self,
        pred_maps: Sequence[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict[str, Any]],
        batch_gt_instances_ignore: Any = None,
    ) -> dict[str, Any]:
        """Return the four parts of the loss, per level (as mmdetection's head)."""
        sizes = [each.shape[-2:] for each in pred_maps]
        pairs = [
            self._target(meta.get("row"), truth, sizes)
            for meta, truth in zip(batch_img_metas, batch_gt_instances, strict=True)
        ]
        counts = [self.num_base_priors * size[0] * size[1] for size in sizes]
        positive = images_to_levels([pair[0] for pair in pairs], counts)
        negative = images_to_levels([pair[1] for pair in pairs], counts)
        parts = multi_apply(self.loss_by_feat_single, pred_maps, positive, negative)
        names = ("loss_cls", "loss_conf", "loss_xy", "loss_wh")
        return dict(zip(names, parts, strict=True))

    def _target(
        self, row: int | None, truth: InstanceData, sizes: list[Any]
    ) -> tuple[Tensor, Tensor]:
        if row is None:
            return self._assigned(truth, sizes)
        if row not in self._targets:
            self._targets[row] = self._assigned(truth, sizes)
        return self._targets[row]

    def _assigned(self, truth: InstanceData, sizes: list[Any]) -> tuple[Tensor, Tensor]:
        device = truth.bboxes.device
        anchors = self.prior_generator.grid_priors(sizes, device=device)
        flags = self.responsible_flags(sizes, truth.bboxes, device)
        found: tuple[Tensor, Tensor] = self._get_targets_single(anchors, flags, truth)
        return found


def yolov3_detector(
    shape: FeatureShape,
    classes: int,
    channels: Sequence[int],
    score: float,
    boxes: int,
    standardise: bool,
) -> YOLOV3:
    """Build mmdetection's YOLOv3 on the frozen encoder's maps.

    Args:
        shape: of three maps, fine to coarse, or of one that a simple pyramid makes three of.
        classes: number of labels of boxes.
        channels: of the neck, coarse to fine.
        score: boxes with less objectness are dropped.
        boxes: most boxes of an image.
        standardise: see `FrozenEncoder`.
    """
    backbone: dict[str, Any] = {"type": "FrozenEncoder"}
    backbone["standardise"] = shape.channels if standardise else None
    if len(shape.channels) == 1:
        backbone["pyramid"] = shape.channels[0]
        shape = shape.pyramid()
    return YOLOV3(
        backbone=backbone,
        neck={
            "type": "YOLOV3Neck",
            "num_scales": 3,
            "in_channels": list(reversed(shape.channels)),
            "out_channels": list(channels),
        },
        bbox_head=_bbox_head(shape, classes, channels),
        train_cfg=ConfigDict(
            assigner={
                "type": "GridAssigner",
                "pos_iou_thr": 0.5,
                "neg_iou_thr": 0.5,
                "min_pos_iou": 0,
            }
        ),
        test_cfg=ConfigDict(
            nms_pre=1000,
            min_bbox_size=0,
            score_thr=0.0,
            conf_thr=score,
            nms={"type": "nms", "iou_threshold": 0.45},
            max_per_img=boxes,
        ),
        data_preprocessor=PassThrough(),
    )


def _bbox_head(shape: FeatureShape, classes: int, channels: Sequence[int]) -> dict[str, Any]:
    """Return mmdetection's configuration of the head; anchors scale with the image."""
    # Anchors are pixels of the input; those of mmdetection fit images of 416.
    factor = shape.size / ANCHOR_SIZE
    anchors = [[(w * factor, h * factor) for w, h in level] for level in ANCHORS]
    strides = list(reversed(shape.strides))
    summed = {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "sum"}
    return {
        "type": "FixedTargetYOLOV3Head",
        "num_classes": classes,
        "in_channels": list(channels),
        "out_channels": [2 * each for each in channels],
        "anchor_generator": {
            "type": "YOLOAnchorGenerator",
            "base_sizes": anchors,
            "strides": strides,
        },
        "featmap_strides": strides,
        "loss_cls": {**summed, "loss_weight": 1.0},
        "loss_conf": {**summed, "loss_weight": 1.0},
        "loss_xy": {**summed, "loss_weight": 2.0},
        "loss_wh": {"type": "MSELoss", "loss_weight": 2.0, "reduction": "sum"},
    }
