"""The frozen encoder as a backbone of mmsegmentation and mmdetection, and a pyramid for ViT."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from sista.encoders.image import ImageEncoder


@dataclass(frozen=True)
class FeatureShape:
    """What a head must know of the encoder it is built for.

    Attributes:
        family: `resnet` or `vit`.
        size: side of the input image in pixels.
        dim: width of the pooled feature.
        channels: channels of each feature map the head takes.
        strides: input pixels per cell of each of these maps.
    """

    family: str
    size: int
    dim: int
    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def pyramid(self) -> "FeatureShape":
        """Return the shape after `SimplePyramid`: half, same and double stride."""
        stride = self.strides[-1]
        return replace(
            self, channels=self.channels[-1:] * 3, strides=(stride // 2, stride, stride * 2)
        )


def feature_shape(encoder: ImageEncoder, levels: Sequence[int], size: int) -> FeatureShape:
    """Return the shape of the encoder's maps `levels` for images of `size` pixels."""
    return FeatureShape(
        encoder.family,
        size,
        encoder.dim,
        tuple(encoder.map_channels[level] for level in levels),
        tuple(encoder.map_strides[level] for level in levels),
    )


@MODELS.register_module()
class FrozenEncoder(nn.Module):
    """Backbone whose input are the encoder's cached feature maps, or images to be encoded.

    It is registered in mmengine's root registry, where mmsegmentation and mmdetection both find
    it. The encoder is no submodule: it is neither trained, set to training mode, initialised
    again nor saved with the head.

    Args:
        pyramid: build a trainable `SimplePyramid` for this many channels on the last map.
        standardise: channels of the maps, to give each channel zero mean and unit variance (over
            training batches, without parameters); encoders whose maps differ in scale then learn
            at one pace. None = take the maps as they are.
    """

    def __init__(
        self, pyramid: int | None = None, standardise: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(c, affine=False) for c in standardise or ())
        # In a tuple, which hides it from torch: no submodule, no weights in the checkpoint.
        self._encoder: tuple[ImageEncoder | None] = (None,)
        self.levels: tuple[int, ...] = ()
        self.pyramid = SimplePyramid(pyramid) if pyramid else None

    def attach(self, encoder: ImageEncoder, levels: Sequence[int]) -> None:
        """Encode images with `encoder` (eval mode, same device) and use its maps `levels`."""
        self._encoder = (encoder,)
        self.levels = tuple(levels)

    def forward(self, inputs: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return feature maps from fine to coarse, in single precision."""
        if isinstance(inputs, Tensor):
            maps = self._encode(inputs)
        else:
            # Convolutions of few channels are up to twice as fast in this memory layout.
            layout = torch.channels_last
            maps = tuple(each.to(torch.float32, memory_format=layout) for each in inputs)
        if self.norms:
            maps = tuple(norm(each) for norm, each in zip(self.norms, maps, strict=True))
        return self.pyramid(maps[-1]) if self.pyramid is not None else maps

    @torch.no_grad()
    def _encode(self, images: Tensor) -> tuple[Tensor, ...]:
        (encoder,) = self._encoder
        if encoder is None:
            raise ValueError("no encoder is attached to FrozenEncoder; give feature maps")
        maps = encoder(images).maps
        return tuple(maps[level] for level in self.levels)


class SimplePyramid(nn.Module):
    """Three maps at half, same and double stride from one map (ViTDet, Li et al. 2022, fig. 2).

    Args:
        channels: of the map and of each of the three results.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2)
        self.down = nn.MaxPool2d(2, ceil_mode=True)
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for _ in range(3))

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `[B, C, 2h, 2w]`, `[B, C, h, w]` and `[B, C, h/2, w/2]`."""
        maps = (self.up(features), features, self.down(features))
        return tuple(norm(each) for norm, each in zip(self.norms, maps, strict=True))
