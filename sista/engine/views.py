"""Views of images, drawn by counters.

Methods with reports see a plain crop (`augment`); methods that learn from images alone see two
views (`two_views`): random resized crops, mirrors, brightness, contrast and blur.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from sista.engine.films import Films
from sista.engine.randomness import uniform
from sista.errors import check_range
from sista.runs.feeding import moved

# As the family: 256 px with a random crop of 224.
CROP = 224 / 256

# Random numbers behind one view.
_DRAWS = 9
# Random resized crops (Szegedy et al. 2015) keep the ratio of the sides within 3/4 and 4/3.
_RATIO = math.log(4 / 3)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class ViewPolicy:
    """How views differ.

    Attributes:
        smallest: smallest share of the image's area that a crop shows, in (0, 1].
        flip: whether half of the views are mirrored.
        jitter: brightness and contrast are multiplied by a factor in [1 - jitter, 1 + jitter].
        blur: share of the views with a Gaussian blur of sigma 0.1 to 2 pixels.
    """

    smallest: float = 0.2
    flip: bool = True
    jitter: float = 0.4
    blur: float = 0.5

    def __post_init__(self) -> None:
        """Refuse shares that no view can have."""
        # A crop of no area has no side to divide by.
        check_range("crop", self.smallest, 1e-3, 1.0)
        check_range("jitter", self.jitter, 0.0, 1.0)
        check_range("blur", self.blur, 0.0, 1.0)


class Views(NamedTuple):
    """The images of a batch.

    Attributes:
        first: `[B, S, S]` in [0, 255].
        second: another view of each, likewise, or None.
        boxes: `[B, 2, 5]` where the two views lie: top, left, height, width as shares of the
            stored image, and 1 where the view is mirrored; None with a single view.
    """

    first: Tensor
    second: Tensor | None = None
    boxes: Tensor | None = None


def two_views(
    films: Films,
    rows: NDArray[np.int64],
    *,
    side: int,
    seed: int,
    epoch: int,
    policy: ViewPolicy,
    device: torch.device = CPU,
) -> Views:
    """Draw two views of each image.

    Args:
        films: N images.
        rows: the images of this batch.
        side: of a view in pixels.
        seed: of the run.
        epoch: another draw in every epoch.
        policy: how they differ.
        device: of the views, which they are made on.
    """
    draw = uniform(seed, epoch, rows, 2 * _DRAWS).reshape(len(rows), 2, _DRAWS)
    stored = moved(films.take(rows), device).float()
    boxes = moved(_boxes(draw, policy).astype(np.float32), device)
    looks = moved(draw[:, :, 5:].astype(np.float32), device)
    first, second = (look(crop(stored, boxes[:, n], side), looks[:, n], policy) for n in range(2))
    return Views(first, second, boxes)


def crop(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Return the boxes `[B, 5]` of images `[B, S, S]`, resized to `[B, side, side]`."""
    down, right = box_centres(boxes, side)
    grid = torch.stack(
        [
            (2 * right - 1)[:, None, :].expand(-1, side, -1),
            (2 * down - 1)[:, :, None].expand(-1, -1, side),
        ],
        dim=-1,
    )
    sampled = F.grid_sample(
        images[:, None], grid.to(images.dtype), padding_mode="border", align_corners=False
    )
    return sampled[:, 0]


def box_centres(boxes: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """Return the centres of the rows and columns of a `cells` by `cells` grid over each box.

    Args:
        boxes: `[B, 5]` top, left, height, width as shares of the image, and 1 where mirrored.
        cells: along a side.

    Returns:
        Two tensors `[B, cells]`: how far down and how far right, as shares of the image.
    """
    along = (torch.arange(cells, device=boxes.device, dtype=boxes.dtype) + 0.5) / cells
    top, left, height, width, mirrored = (boxes[:, n, None] for n in range(5))
    across = torch.where(mirrored > 0.5, 1 - along, along)
    return top + along * height, left + across * width


def _boxes(draw: NDArray[np.float64], policy: ViewPolicy) -> NDArray[np.float64]:
    """Return boxes `[B, 2, 5]` for draws `[B, 2, _DRAWS]` in [0, 1)."""
    area = policy.smallest + (1 - policy.smallest) * draw[..., 0]
    ratio = np.exp(_RATIO * (2 * draw[..., 1] - 1))
    height = np.minimum(np.sqrt(area * ratio), 1.0)
    width = np.minimum(np.sqrt(area / ratio), 1.0)
    top, left = draw[..., 2] * (1 - height), draw[..., 3] * (1 - width)
    mirrored = ((draw[..., 4] < 0.5) & policy.flip).astype(np.float64)
    return np.stack([top, left, height, width, mirrored], axis=-1)


def look(images: Tensor, draw: Tensor, policy: ViewPolicy) -> Tensor:
    """Change contrast and brightness, and blur some, for draws `[B, 4]`."""
    contrast, brightness = ((1 + policy.jitter * (2 * draw[:, n] - 1)) for n in range(2))
    mean = images.mean((1, 2), keepdim=True)
    out = (images - mean) * contrast[:, None, None] + mean
    out = out * brightness[:, None, None]
    if policy.blur:
        # A sigma of a hundredth of a pixel leaves an image as it is.
        sigma = torch.where(draw[:, 2] < policy.blur, 0.1 + 1.9 * draw[:, 3], 0.01)
        out = _blur(out, sigma)
    return out.clamp_(0.0, 255.0)


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image `[B, S, S]` with its own sigma `[B]` in pixels, at most 2."""
    reach = torch.arange(-4, 5, dtype=images.dtype, device=images.device)
    weights = torch.softmax(-(reach**2) / (2 * sigma[:, None] ** 2), dim=1)
    count = len(images)
    out = F.pad(images[None], (4, 4, 4, 4), mode="replicate")
    out = F.conv2d(out, weights.view(count, 1, 9, 1), groups=count)
    return F.conv2d(out, weights.view(count, 1, 1, 9), groups=count)[0]


def augment(
    films: Films,
    rows: NDArray[np.int64],
    *,
    side: int,
    seed: int,
    epoch: int,
    flip: bool,
    device: torch.device = CPU,
) -> Tensor:
    """Return random crops with random brightness and contrast, float `[B, side, side]`.

    Args:
        films: N images, their sides >= `side`.
        rows: the images of this batch.
        side: of the crop in pixels.
        seed: of the run.
        epoch: another draw in every epoch.
        flip: also mirror half of them.
        device: of the result. Crops come to it as they are stored, a quarter of the bytes.
    """
    draw = uniform(seed, epoch, rows, 5)
    corner = (draw[:, :2] * (films.side - side + 1)).astype(np.int64)
    out = moved(films.crops(rows, corner, side, draw[:, 4] < 0.5 if flip else None), device).float()
    contrast = moved((0.8 + 0.4 * draw[:, 2, None, None]).astype(np.float32), device)
    brightness = moved((51.0 * (draw[:, 3, None, None] - 0.5)).astype(np.float32), device)
    mean = out.mean((1, 2), keepdim=True)
    return out.sub_(mean).mul_(contrast).add_(mean + brightness).clamp_(0.0, 255.0)


def centre(films: Films, rows: NDArray[np.int64], side: int, device: torch.device = CPU) -> Tensor:
    """Return central crops, float `[B, side, side]`."""
    corner = np.full((len(rows), 2), (films.side - side) // 2)
    return moved(films.crops(rows, corner, side), device).float()
