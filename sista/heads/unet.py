"""U-Net decoder (Ronneberger et al., MICCAI 2015) on C2 to C5 of a frozen ResNet.

Through mmsegmentation.
"""

from typing import Any

from sista.openmmlab.backbone import FeatureShape
from sista.openmmlab.segmentors import check_steps, segmentor

TASK = "segmentation"
ADAPTS = "frozen"
# `channels` is not halved below 8.
RANGES = {"channels": (8, 4096), "steps": (1, 8), "focal_weight": (0, 1e6)}
LEVELS: dict[str, tuple[int, ...]] = {"resnet": (0, 1, 2, 3)}


def unet(
    shape: FeatureShape,
    labels: int,
    *,
    channels: int = 256,
    steps: int = 5,
    focal_weight: float = 10.0,
    log_dice: bool = False,
    standardise: bool = False,
) -> Any:
    """Build the segmentor.

    Args:
        shape: of the encoder's maps.
        labels: number of masks; one.
        channels: of the coarsest step of the decoder, halved at each finer one down to 8.
        steps: doublings of the resolution; 3 reach that of C2, 5 that of the image.
        focal_weight: weight of the focal loss beside that of Dice.
        log_dice: the loss of Dice is -log Dice, else 1 - Dice.
        standardise: bring every channel of the encoder's maps to one scale first.
    """
    check_steps(steps, shape.strides[-1])
    head = {
        "type": "UNetHead",
        "in_channels": shape.channels,
        "channels": channels,
        "steps": steps,
    }
    return segmentor(head, focal_weight, log_dice, shape.channels if standardise else None)
