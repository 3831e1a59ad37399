"""YOLOv3 (Redmon and Farhadi, 2018, arXiv 1804.02767) on C3 to C5 of a frozen ResNet.

Of a ViT it has a simple pyramid (Li et al., ECCV 2022) of the one map.
"""

from typing import Any

from sista.errors import UserError
from sista.openmmlab.backbone import FeatureShape
from sista.openmmlab.detectors import yolov3_detector

TASK = "detection"
ADAPTS = "frozen"
# What may stop its training, beside the loss.
MONITORS = ("map_40_75",)
# The detector looks at 1000 boxes of each of three levels.
RANGES = {"channels": (4, 4096), "score": (0, 1), "boxes": (1, 3000)}
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
        channels: of the coarsest level of the neck, halved at each finer one; a multiple of 4.
        score: boxes with less objectness are dropped, 0 to 1.
        boxes: most boxes of an image.
        standardise: bring every channel of the encoder's maps to one scale first.
    """
    if channels % 4:
        raise UserError(f"yolov3: channels={channels}: must be a multiple of 4, it is halved twice")
    widths = (channels, channels // 2, channels // 4)
    return yolov3_detector(shape, labels, widths, score, boxes, standardise)
