"""SETR with progressive upsampling (Zheng et al., CVPR 2021) on the last map of a frozen ViT.

Through mmsegmentation.
"""

from typing import Any

from sista.openmmlab.backbone import FeatureShape
from sista.openmmlab.segmentors import check_steps, segmentor

TASK = "segmentation"
ADAPTS = "frozen"
RANGES = {"channels": (1, 4096), "steps": (1, 8), "focal_weight": (0, 1e6)}
LEVELS: dict[str, tuple[int, ...]] = {"vit": (0,)}


def setr_pup(
    shape: FeatureShape,
    labels: int,
    *,
    channels: int = 256,
    steps: int = 4,
    focal_weight: float = 10.0,
    log_dice: bool = False,
    standardise: bool = False,
) -> Any:
    """Build the segmentor (Zheng et al. 2021).

    Args:
        shape: of the encoder's map.
        labels: number of masks; one.
        channels: of the decoder.
        steps: convolutions, each followed by an upsampling by two.
        focal_weight: weight of the focal loss beside that of Dice.
        log_dice: the loss of Dice is -log Dice, else 1 - Dice.
        standardise: bring every channel of the encoder's maps to one scale first.
    """
    check_steps(steps, shape.strides[0])
    head = {
        "type": "SETRPUPHead",
        "in_channels": shape.channels[0],
        "in_index": 0,
        "channels": channels,
        "num_convs": steps,
        "up_scale": 2,
        "kernel_size": 3,
    }
    return segmentor(head, focal_weight, log_dice, shape.channels if standardise else None)
