"""Patches for the token level: the cells of one feature map, or of a small feature pyramid."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from sista.encoders.image import ImageEncoder


class PatchHead(nn.Module):
    """Projects the cells of a map into the shared space.

    Args:
        image: encoder whose maps are projected.
        stride: pixels a patch of a ResNet (a ViT has one map).
        width: of the shared space.
        top_down: add the maps behind it too, each projected and enlarged to its size. Lin et al.
            2017, "Feature Pyramid Networks for Object Detection", section 3, without the 3×3
            convolutions: otherwise the loss of the patches reaches no stage behind their map.
        centred: take the mean patch of each film out: what a ViT's patches know of the whole film
            by attention then helps no patch to be told from those of another film.
    """

    def __init__(
        self, image: ImageEncoder, stride: int, width: int, top_down: bool, centred: bool = False
    ) -> None:
        super().__init__()
        self.centred = centred
        self.level = image.patch_map(stride)
        self.finest = nn.Linear(image.map_channels[self.level], width)
        behind = image.map_channels[self.level + 1 :] if top_down else ()
        self.behind = nn.ModuleList(nn.Linear(channels, width, bias=False) for channels in behind)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return patches `[B, P, D]`, row by row, of the encoder's maps `[B, C_i, h_i, w_i]`."""
        finest = maps[self.level]
        patches: Tensor = self.finest(_cells(finest))
        for layer, coarse in zip(self.behind, maps[self.level + 1 :], strict=False):
            # Projected first: there are fewer cells.
            projected = layer(_cells(coarse)).transpose(1, 2).unflatten(2, coarse.shape[2:])
            larger = functional.interpolate(projected, finest.shape[2:], mode="nearest")
            patches = patches + _cells(larger)
        return patches - patches.mean(1, keepdim=True) if self.centred else patches


def _cells(feature_map: Tensor) -> Tensor:
    return feature_map.flatten(2).transpose(1, 2)
