"""U-Net decoder on C2 to C5 of a frozen ResNet, through mmsegmentation."""

from typing import Any

from sista.heads._segmentation import segmentor
from sista.openmmlab.backbone import FeatureShape

TASK = "segmentation"
LEVELS: dict[str, tuple[int, ...]] = {"resnet": (0, 1, 2, 3)}


def unet(
    shape: FeatureShape, labels: int, *, channels: int = 256, focal_weight: float = 10.0
) -> Any:
    """Build the segmentor.

    Args:
        shape: of the encoder's maps.
        labels: number of masks; one.
        channels: of the coarsest step of the decoder, halved at each finer one.
        focal_weight: weight of the focal loss beside soft Dice.
    """
    head = {"type": "UNetHead", "in_channels": shape.channels, "channels": channels}
    return segmentor(head, focal_weight)
