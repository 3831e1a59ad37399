"""Views of training images for heads, drawn by counters, and where masks and boxes lie in them.

A view depends on the seed of the head, the image and how often it was drawn before: on no other
image of the batch, and on nothing that a resumed run would have to remember.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sista.encoders.features import Images, normalised, scaled
from sista.encoders.image import ImageEncoder
from sista.engine.randomness import uniform
from sista.engine.views import ViewPolicy, look

Floats = NDArray[np.float64]
# Random numbers behind one view.
_DRAWS = 11


@dataclass(frozen=True)
class Policy:
    """How views differ from the image as it is evaluated.

    Attributes:
        crop: cut out any part of the zoomed image, else its centre.
        flip: share of the views that are mirrored.
        moved: share that is scaled by a factor in 1 ± `scale` and rotated by up to `rotate` degrees
            about the centre; what comes in from outside is black.
        scale: see `moved`.
        rotate: see `moved`.
        jittered: share whose contrast and brightness are multiplied by factors in 1 ± `jitter`.
        jitter: see `jittered`.
        blur: share with a Gaussian blur of sigma 0.1 to 2 pixels.
    """

    crop: bool = False
    flip: float = 0.0
    moved: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    jittered: float = 0.0
    jitter: float = 0.0
    blur: float = 0.0


POLICIES = {
    "crop": Policy(crop=True),
    # MGCA's `Moco2Transform`; its changes of colour leave a grey film as it is.
    "moco": Policy(crop=True, flip=0.5, jittered=0.8, jitter=0.4, blur=0.5),
    # MGCA's `ShiftScaleRotate`, whose shift is 0.
    "affine": Policy(moved=0.5, scale=0.1, rotate=10.0),
}


@dataclass(frozen=True)
class TrainingViews:
    """The training images of a job, changed at every visit.

    Attributes:
        images: the image container, uint8 `[N, P, P]`.
        rows: of the container, by position.
        encoder: gives mean and standard deviation.
        policy: how views differ.
        size: side of a view in pixels.
        side: the whole prepared square is scaled to this many pixels first.
        seed: of the head.
        device: to compute on.
    """

    images: Images
    rows: Sequence[int]
    encoder: ImageEncoder
    policy: Policy
    size: int
    side: int
    seed: int
    device: torch.device

    def draw(self, positions: Sequence[int], visits: Sequence[int]) -> tuple[Tensor, Floats]:
        """Return the encoder's input `[B, 3, S, S]`, and the place `[B, 2, 3]` of each view.

        Args:
            positions: of the images in `rows`.
            visits: how often each was drawn before.
        """
        rows = np.array([self.rows[i] for i in positions], dtype=np.int64)
        draws = np.empty((len(rows), _DRAWS))
        for visit in set(visits):
            chosen = np.flatnonzero(np.equal(visits, visit))
            draws[chosen] = uniform(self.seed, visit, rows[chosen], _DRAWS)
        places = _places(draws, self.policy, self.size, self.side)
        # One image alone takes kernels with other last bits than two.
        twice = [0, 0] if len(rows) == 1 else slice(None)
        squares = scaled(self.images[rows[twice]], self.side, self.device)
        views = placed(squares, places[twice], self.size)
        if self.policy.jitter or self.policy.blur:
            views = _looked(views, draws[twice], self.policy)
        return normalised(views, self.encoder)[: len(rows)], places


def placed(squares: Tensor, places: Floats, size: int, mode: str = "bilinear") -> Tensor:
    """Return views `[B, 1, size, size]` of squares `[B, 1, side, side]`; outside they are 0.

    Args:
        squares: images or masks.
        places: `[B, 2, 3]`: a point x, y of the view in pixels, and 1, to its point in the square.
        size: side of a view in pixels.
        mode: `bilinear` or `nearest`.
    """
    centres = np.arange(size) + 0.5
    across, down = (places[:, :, n, None, None] for n in range(2))
    points = across * centres[None, :] + down * centres[:, None] + places[:, :, 2, None, None]
    grid = torch.from_numpy(2 * points / squares.shape[-1] - 1).permute(0, 2, 3, 1).to(squares)
    return functional.grid_sample(squares, grid, mode=mode, align_corners=False)


def placed_boxes(corners: Floats, place: Floats) -> Floats:
    """Return the smallest upright boxes around boxes of the square, in pixels of a view.

    Args:
        corners: x1, y1, x2, y2 in pixels of the square, `[N, 4]`.
        place: of the view, `[2, 3]`; see `placed`.
    """
    points = corners[:, [[0, 1], [2, 1], [0, 3], [2, 3]]] - place[:, 2]
    seen = points @ np.linalg.inv(place[:, :2]).T
    return np.concatenate((seen.min(1), seen.max(1)), axis=1)


def _places(draws: Floats, policy: Policy, size: int, side: int) -> Floats:
    room = side - size
    corner = np.full((len(draws), 2), room // 2, dtype=np.float64)
    if policy.crop:
        corner = np.floor(draws[:, :2] * (room + 1))
    mirror = np.where(draws[:, 2] < policy.flip, -1.0, 1.0)
    moved = draws[:, 3] < policy.moved
    factor = np.where(moved, 1 + policy.scale * (2 * draws[:, 4] - 1), 1.0)
    angle = np.where(moved, np.deg2rad(policy.rotate) * (2 * draws[:, 5] - 1), 0.0)
    cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
    lines = [[cosine * mirror, -sine], [sine * mirror, cosine]]
    turned = np.moveaxis(np.array(lines), 2, 0)
    # About the centre of the view.
    shift = corner + size / 2 - turned.sum(2) * (size / 2)
    return np.concatenate((turned, shift[..., None]), axis=2)


def _looked(views: Tensor, draws: Floats, policy: Policy) -> Tensor:
    """Change contrast and brightness of some views `[B, 1, S, S]` in [0, 1], and blur some."""
    # One half is the factor 1.
    factors = np.where(draws[:, 6, None] < policy.jittered, draws[:, 7:9], 0.5)
    chosen = torch.from_numpy(np.concatenate((factors, draws[:, 9:11]), axis=1)).to(views)
    changes = ViewPolicy(jitter=policy.jitter, blur=policy.blur)
    return look(views[:, 0] * 255, chosen, changes)[:, None] / 255
