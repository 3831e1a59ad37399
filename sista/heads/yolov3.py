"""YOLOv3 on C3 to C5 of a frozen ResNet or on a simple pyramid of a frozen ViT (mmdetection)."""

from typing import Any

from sista.adaptation.detection import yolov3_detector
from sista.openmmlab.backbone import FeatureShape

TASK = "detection"
ADAPTS = "frozen"
# What may stop its training, beside the loss.
MONITORS = ("map_40_75",)
LEVELS: dict[str, tuple[int, ...]] = {"resnet": (1, 2, 3), "vit": (0,)}


def yolov3(
    shape: FeatureShape,
    labels: int,
    *,
    channels: int = 512,
    score: float = 0.005,
    boxes: int = 100,
    standardise: bool = False,
) -> Any:
    """Build the detector (Redmon and Farhadi 2018).

    Args:
        shape: of the encoder's maps.
        labels: number of labels of boxes.
        channels: of the coarsest level of the neck, halved at each finer one.
        score: boxes with less objectness are dropped.
        boxes: most boxes of an image.
        standardise: bring every channel of the encoder's maps to one scale first.
    """
    widths = (channels, channels // 2, channels // 4)
    return yolov3_detector(shape, labels, widths, score, boxes, standardise)
