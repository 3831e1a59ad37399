"""PixPro (Xie et al. 2021): cells of two views that show the same place agree; no reports."""

import math

import torch
from torch import Tensor, nn

from sista.engine.interface import Embedded, Needs, Objective, required
from sista.engine.model import PretrainModel
from sista.engine.views import ViewPolicy, box_centres
from sista.errors import check_range
from sista.losses.pixpro import pixpro as consistency
from sista.losses.pixpro import propagate, same_place


class _PixPro(Objective):
    def __init__(self, needs: Needs, sharpness: float, reach: float, momentum: float) -> None:
        super().__init__(needs)
        check_range("momentum", momentum, 0.0, 1.0)
        # With none, no two cells correspond and the loss is a constant.
        check_range("reach", reach, 1e-3)
        self.sharpness, self.reach, self.momentum = sharpness, reach, momentum
        self.value = nn.Linear(needs.width, needs.width)

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return minus the mean cosine of corresponding cells, both ways, in [-2, 2]."""
        first, second = required(e.pixels), required(e.second_pixels)
        together = corresponding(required(e.boxes), first.shape[1], self.reach)
        loss = consistency(self._propagated(first), required(e.target_second_pixels), together)
        loss = loss + consistency(
            self._propagated(second), required(e.target_pixels), together.transpose(1, 2)
        )
        overlap = together.any(2).float().mean()
        return {"loss": loss, "overlap": overlap}

    def _propagated(self, cells: Tensor) -> Tensor:
        return propagate(cells, self.value(cells), self.sharpness)

    def after_step(self, model: nn.Module, progress: float) -> None:
        """Move the momentum encoder; the momentum grows to 1 along a cosine."""
        assert isinstance(model, PretrainModel)  # noqa: S101 (tells mypy)
        momentum = 1 - (1 - self.momentum) * (math.cos(math.pi * progress) + 1) / 2
        model.target.follow(model.image, model.pixel_head, momentum)


def corresponding(boxes: Tensor, cells: int, reach: float) -> Tensor:
    """Return which cells of two views show the same place, `[B, P, P]` bool.

    Args:
        boxes: `[B, 2, 5]` of the views, see `Views`.
        cells: P, a square number.
        reach: largest distance of centres, in diagonals of the larger of the two cells.
    """
    side = math.isqrt(cells)
    places = []
    for box in boxes.unbind(1):
        down, right = box_centres(box, side)
        centres = [down[:, :, None].expand(-1, -1, side), right[:, None].expand(-1, side, -1)]
        places.append(torch.stack(centres, -1).flatten(1, 2))
    diagonal = boxes[:, :, 2:4].norm(dim=-1).amax(1) / side
    return same_place(places[0], places[1], diagonal, reach)


def pixpro(
    *,
    sharpness: float = 2.0,
    reach: float = 0.7,
    momentum: float = 0.99,
    crop: float = 0.2,
    flip: bool = True,
    jitter: float = 0.4,
    blur: float = 0.5,
    width: int = 256,
) -> Objective:
    """Return PixPro's objective, the pixel-to-propagation form.

    `-cos(y_i, x'_j) - cos(y_j, x'_i)` over cells i, j of two views that lie within `reach`
    diagonals of a cell: y = propagated cells of the trained encoder, x' = cells of a momentum
    encoder, on the last feature map. What differs: films are grey, so there is no colour change;
    the hidden layer of the projection is as wide as its input (source: 4096); the public code also
    normalises the values before it propagates them. At 64 px the last map of a ResNet has 2 x 2
    cells.

    Args:
        sharpness: exponent of the similarity between cells.
        reach: largest distance of corresponding cells.
        momentum: first value, growing to 1.
        crop: smallest share of the image's area in a view.
        flip: mirror half of the views.
        jitter: brightness and contrast change by up to this share.
        blur: share of the views that are blurred.
        width: dimensions of the projection.
    """
    views = ViewPolicy(crop, flip, jitter, blur)
    needs = Needs(views=views, pixels=True, momentum=True, width=width)
    return _PixPro(needs, sharpness, reach, momentum)
