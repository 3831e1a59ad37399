"""Drawing surface: chest coordinates to pixels, outlines, lines, smooth noise.

Chest coordinates (u, v) run over about [-1, 1] each: u from the patient's right (film left,
negative) to the left, v from the neck down. They are turned and scaled into pixels by a `View`.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.floating[Any]]
Points = NDArray[np.floating[Any]]

# Noise up to this scale in pixels comes from tiles.
FINE = 14.0


@dataclass(frozen=True)
class View:
    """Placement of the chest on a film of `height` x `width` pixels.

    Args:
        height: film height in pixels.
        width: film width in pixels.
        centre: pixel (x, y) of the chest's centre.
        unit: pixels per chest unit.
        angle: rotation in radians, clockwise on the film.
    """

    height: int
    width: int
    centre: tuple[float, float]
    unit: float
    angle: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    def pixels(self, points: Points) -> Points:
        """Map chest coordinates `[N, 2]` to pixel coordinates (x, y) `[N, 2]`."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turned = points @ np.array([[cos, sin], [-sin, cos]])
        placed: Points = turned * self.unit + np.array(self.centre)
        return placed

    @cached_property
    def grid(self) -> tuple[Field, Field]:
        """Chest coordinates u and v of every pixel centre, two `[H, W]` arrays."""
        x = (np.arange(self.width, dtype=np.float32) - self.centre[0]) / self.unit
        y = (np.arange(self.height, dtype=np.float32) - self.centre[1]) / self.unit
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return cos * x[None] + sin * y[:, None], cos * y[:, None] - sin * x[None]

    @cached_property
    def half(self) -> tuple[Field, Field]:
        """Chest coordinates of every second pixel, for smooth things."""
        u, v = self.grid
        return u[::2, ::2].copy(), v[::2, ::2].copy()


def spline(points: Points, closed: bool = True, steps: int = 8) -> Points:
    """Return a Catmull-Rom curve through `points` `[N, 2]`, `steps` points per span."""
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, points[-1:]])


def fill(view: View, outline: Points) -> Field:
    """Return 1 inside the closed `outline` (chest coordinates) and 0 outside, `[H, W]`."""
    image = Image.new("L", (view.width, view.height))
    ImageDraw.Draw(image).polygon(view.pixels(outline).ravel().tolist(), fill=1)
    return np.asarray(image).astype(np.float32)


class Pen:
    """Anti-aliased lines and discs on one film; the film is drawn at twice its size."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.image = Image.new("L", (view.width * 2, view.height * 2))
        self.draw = ImageDraw.Draw(self.image)

    def line(self, points: Points, width: float, value: float) -> None:
        """Draw a polyline (chest coordinates) of `width` pixels with `value` in 0..1."""
        self.lines(points[None], width, value)

    def lines(self, paths: Points, width: float, value: float) -> None:
        """Draw many polylines `[N, K, 2]` of one width and value."""
        count, length, _ = paths.shape
        pixels = self.view.pixels(paths.reshape(-1, 2)).reshape(count, 2 * length) * 2
        ink, thick = round(255 * value), max(1, round(2 * width))
        # Round joints cost time and show in thick lines only.
        joint = "curve" if thick > 5 else None
        for path in pixels.tolist():
            self.draw.line(path, fill=ink, width=thick, joint=joint)

    def disc(self, centre: Points, radius: float, value: float, hole: float = 0.0) -> None:
        """Draw a disc of `radius` pixels with an empty middle of `hole` times that radius."""
        x, y = self.view.pixels(centre[None])[0] * 2
        for size, ink in ((2 * radius, value), (2 * radius * hole, 0.0)):
            if size > 0:
                box = (x - size, y - size, x + size, y + size)
                self.draw.ellipse(box, fill=round(255 * ink))

    def polygon(self, points: Points, value: float) -> None:
        """Fill a polygon given in chest coordinates."""
        path = self.view.pixels(points) * 2
        self.draw.polygon(path.ravel().tolist(), fill=round(255 * value))

    def field(self) -> Field:
        """Return what was drawn, 0..1, `[H, W]`."""
        return np.asarray(self.image.reduce(2), dtype=np.float32) / 255


def resize(field: Field, shape: tuple[int, int]) -> Field:
    """Return `field` scaled smoothly (bicubic) to `shape`."""
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BICUBIC))


def soften(field: Field, pixels: float) -> Field:
    """Return `field` blurred by about `pixels`: reduced, box-averaged and enlarged again."""
    height, width = field.shape
    factor = max(1.0, pixels)
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    small = (max(2, round(width / factor)), max(2, round(height / factor)))
    # A triangle filter on the way down and a cubic one on the way up leave no visible grid.
    reduced = image.resize(small, Image.Resampling.BILINEAR)
    return np.asarray(reduced.resize((width, height), Image.Resampling.BICUBIC))


def noise(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Field:
    """Return smooth unit-variance noise of about `scale` pixels, `[H, W]`.

    Fine noise is cut at a random place out of a fixed tile: ten times faster than drawing it.
    """
    if scale > FINE:
        rows, columns = (max(3, round(side / scale) + 2) for side in shape)
        coarse = rng.standard_normal((rows, columns), dtype=np.float32)
        return resize(coarse, shape) / 0.67
    tile = _tile(round(2 * scale) / 2, max(768, 2 * max(shape)))
    top, left = rng.integers(0, tile.shape[0] - max(shape), 2)
    flip = rng.integers(0, 2, 2) * -2 + 1
    return tile[top : top + shape[0], left : left + shape[1]][:: flip[0], :: flip[1]]


@lru_cache(maxsize=32)
def _tile(scale: float, side: int) -> Field:
    """Return a square of noise, the same in every process."""
    rng = np.random.default_rng([round(2 * scale), side])
    if scale <= 1:
        return rng.standard_normal((side, side), dtype=np.float32)
    count = round(side / scale)
    # Bicubic enlargement keeps about .45 of the variance.
    return resize(rng.standard_normal((count, count), dtype=np.float32), (side, side)) / 0.67


def sigmoid(field: Field) -> Field:
    """Return the logistic function of `field`, safe for large values."""
    return (0.5 * (1 + np.tanh(field / 2))).astype(np.float32)
