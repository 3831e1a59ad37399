"""mmsegmentation: a segmentor on the frozen encoder, a U-Net decoder and the loss on masks."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from sista.errors import UserError
from sista.losses.mask import focal, log_dice, soft_dice
from sista.openmmlab.loading import load_mmseg
from sista.openmmlab.training import PassThrough

load_mmseg()

from mmcv.cnn import ConvModule  # noqa: E402
from mmseg.models.decode_heads import SETRUPHead  # noqa: E402
from mmseg.models.decode_heads.decode_head import BaseDecodeHead  # noqa: E402
from mmseg.models.segmentors import EncoderDecoder  # noqa: E402
from mmseg.registry import MODELS as MMSEG_MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

__all__ = ["MaskLoss", "SegDataSample", "UNetHead", "check_steps", "segmentor"]


@MODELS.register_module()
class MaskLoss(nn.Module):
    """`focal_weight` · focal + a loss of Dice, on one channel of logits (the family's loss).

    Args:
        focal_weight: weight of the focal loss.
        logarithm: the loss of Dice is -log Dice, else 1 - Dice.
        loss_name: mmsegmentation adds up what begins with `loss_`.
    """

    def __init__(
        self, focal_weight: float = 10.0, logarithm: bool = False, loss_name: str = "loss_mask"
    ) -> None:
        super().__init__()
        self.focal_weight = focal_weight
        self.dice = log_dice if logarithm else soft_dice
        self.loss_name = loss_name

    def forward(self, logits: Tensor, label: Tensor, **_unused: Any) -> Tensor:
        """Return the loss of logits `[B, 1, H, W]` against labels `[B, H, W]` of 0 and 1."""
        target = label.unsqueeze(1).to(logits.dtype)
        return self.focal_weight * focal(logits, target) + self.dice(logits, target)


class _MaskHead(BaseDecodeHead):  # type: ignore[misc]
    """Decode head whose only loss is the one on masks: mmsegmentation's also sorts every pixel."""

    def loss_by_feat(
        self, seg_logits: Tensor, batch_data_samples: list[SegDataSample]
    ) -> dict[str, Tensor]:
        """Return the loss of logits `[B, 1, h, w]`, resized to the masks."""
        label = self._stack_batch_gt(batch_data_samples).squeeze(1)
        logits = functional.interpolate(
            seg_logits, label.shape[1:], mode="bilinear", align_corners=self.align_corners
        )
        return {self.loss_decode.loss_name: self.loss_decode(logits, label)}


@MMSEG_MODELS.register_module()
class SETRPUPHead(_MaskHead, SETRUPHead):  # type: ignore[misc]
    """mmsegmentation's SETR decoder with the loss on masks."""


@MMSEG_MODELS.register_module()
class UNetHead(_MaskHead):
    """U-Net decoder (Ronneberger et al. 2015): up by two, join the skip, two convolutions.

    Channels halve from step to step, down to 8. Steps beyond the finest skip only go up.

    Args:
        in_channels: of the encoder's maps, fine to coarse.
        channels: of the first step.
        steps: each doubles the resolution.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, steps: int, **settings: Any
    ) -> None:
        widths = [max(channels >> step, 8) for step in range(steps)]
        super().__init__(
            in_channels=list(in_channels),
            channels=widths[-1],
            in_index=list(range(len(in_channels))),
            input_transform="multiple_select",
            **settings,
        )
        skips = [*reversed(in_channels[:-1]), *[0] * steps][:steps]
        self.steps = nn.ModuleList()
        below = in_channels[-1]
        for skip, width in zip(skips, widths, strict=True):
            options = {"padding": 1, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
            first = ConvModule(below + skip, width, 3, **options)
            self.steps.append(nn.Sequential(first, ConvModule(width, width, 3, **options)))
            below = width

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return logits `[B, 1, h, w]`, `2^steps` times as fine as the coarsest map."""
        maps = list(self._transform_inputs(inputs))
        features = maps.pop()
        for step in self.steps:
            features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            if maps:
                features = torch.cat((features, maps.pop()), dim=1)
            features = step(features)
        logits: Tensor = self.cls_seg(features)
        return logits


def segmentor(
    decode_head: dict[str, Any],
    focal_weight: float,
    logarithm: bool,
    standardise: Sequence[int] | None,
) -> EncoderDecoder:
    """Build mmsegmentation's EncoderDecoder for one binary mask on the frozen encoder.

    Args:
        decode_head: configuration of the decoder.
        focal_weight: see `MaskLoss`.
        logarithm: see `MaskLoss`.
        standardise: see `FrozenEncoder`.
    """
    loss = {"type": "MaskLoss", "focal_weight": focal_weight, "logarithm": logarithm}
    shared = {
        "num_classes": 2,
        "out_channels": 1,
        "threshold": 0.5,
        "dropout_ratio": 0.0,
        "norm_cfg": {"type": "BN"},
        "loss_decode": loss,
        # Lesions are rare: start at a probability of about 0.1 (Lin et al. 2017, section 3.3). With
        # mmsegmentation's std of 0.01 and bias 0 the background turns all weights negative first.
        "init_cfg": {
            "type": "Normal",
            "std": 0.1,
            "bias": -2.0,
            "override": {"name": "conv_seg"},
        },
    }
    return EncoderDecoder(
        backbone={"type": "FrozenEncoder", "standardise": standardise},
        decode_head={**shared, **decode_head},
        data_preprocessor=PassThrough(),
        train_cfg=ConfigDict(),
        test_cfg=ConfigDict(mode="whole"),
    )


def check_steps(steps: int, stride: int) -> None:
    """Refuse a decoder that would go beyond the resolution of the image.

    Args:
        steps: doublings of the resolution.
        stride: pixels a cell of the coarsest map.

    Raises:
        UserError: names the most steps.
    """
    most = math.ceil(math.log2(stride))
    if steps > most:
        raise UserError(
            f"steps={steps}: {most} reach the resolution of the image from the encoder's map of "
            f"stride {stride}"
        )
