"""Support devices and foreign objects: bright distractors, and the targets of Object-CXR."""

from dataclasses import dataclass

import numpy as np

from sista.phantom.anatomy import SIDES, Anatomy
from sista.phantom.canvas import Field, Pen, Points, View, spline

DEVICES = {
    "endotracheal tube": 0.06,
    "enteric tube": 0.07,
    "central line": 0.10,
    "pacemaker": 0.06,
    "leads": 0.16,
    "sternal wires": 0.07,
    "clips": 0.05,
}
OBJECTS = ("coin", "button", "ring", "pin", "chain", "zip", "clip", "star")


@dataclass(frozen=True)
class Shape:
    """Outline of a foreign object in pixels.

    Args:
        form: 0 rectangle, 1 ellipse, 2 polygon, as in Object-CXR.
        points: rectangle and ellipse: two corners; polygon: all corners; `[N, 2]` x, y.
    """

    form: int
    points: Points


def sample_devices(rng: np.random.Generator) -> tuple[str, ...]:
    """Draw a study's devices; they do not depend on its findings."""
    return tuple(name for name, share in DEVICES.items() if rng.random() < share)


def draw_devices(
    view: View, anatomy: Anatomy, names: tuple[str, ...], rng: np.random.Generator
) -> Field:
    """Return the attenuation of the named devices, 0..1, `[H, W]`."""
    pen = Pen(view)
    for name in names:
        _DRAWERS[name](pen, anatomy, view.unit / 160, rng)
    return pen.field()


def _wander(rng: np.random.Generator, points: list[tuple[float, float]], step: float) -> Points:
    path = np.array(points)
    return spline(path + rng.normal(0, step, path.shape), closed=False)


def _tube(pen: Pen, anatomy: Anatomy, scale: float, rng: np.random.Generator) -> None:
    tip = anatomy.heart_top - rng.uniform(0.25, 0.4)
    path = _wander(rng, [(0.0, -1.2), (0.01, -0.9), (0.005, tip)], 0.006)
    pen.line(path, 5 * scale, 0.75)
    pen.line(path, 3.2 * scale, 0.3)


def _enteric(pen: Pen, anatomy: Anatomy, scale: float, rng: np.random.Generator) -> None:
    d = anatomy.dome
    points = [(0.02, -1.2), (0.03, -0.5), (0.04, 0.0), (0.06, d + 0.1), (0.25, d + 0.35), (0.2, 1)]
    pen.line(_wander(rng, points, 0.012), 2.2 * scale, 0.7)


def _central(pen: Pen, anatomy: Anatomy, scale: float, rng: np.random.Generator) -> None:
    a, sign = anatomy, rng.choice([-1, 1])
    start = [(sign * 0.3, -1.1), (sign * 0.22, -0.85)]
    if rng.random() < 0.5:
        start = [(sign * 1.1, -0.5), (sign * 0.6, a.apex + 0.12)]
    end = [(-0.06, a.heart_top - 0.25), (-0.09, a.heart_top + 0.05)]
    pen.line(_wander(rng, [*start, *end], 0.01), 1.8 * scale, 0.65)


def _pacemaker(pen: Pen, anatomy: Anatomy, scale: float, rng: np.random.Generator) -> None:
    a, sign = anatomy, 1 if rng.random() < 0.85 else -1
    box = np.array([sign * 0.58, a.apex + 0.28]) + rng.normal(0, 0.03, 2)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rounded = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.6
    high = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.6
    pen.polygon(spline(box + np.stack([0.11 * rounded, 0.09 * high], axis=1)), 0.95)
    for tip in ((0.2, a.dome + 0.02), (-0.1, a.dome - 0.25)):
        points = [(box[0], box[1]), (0.1 * sign, a.apex + 0.2), (-0.08, a.heart_top), tip]
        pen.line(_wander(rng, points, 0.012), 1.8 * scale, 0.85)


def _leads(pen: Pen, anatomy: Anatomy, scale: float, rng: np.random.Generator) -> None:
    w = anatomy.half_width
    for _ in range(int(rng.integers(2, 5))):
        end = np.array([rng.choice([-1, 1]) * rng.uniform(0.35, 1.0) * w, rng.uniform(-0.5, 0.5)])
        edge = (rng.choice([-1.2, 1.2]), rng.uniform(-1, 1))
        pen.line(
            _wander(rng, [edge, (0.5 * (edge[0] + end[0]), end[1]), tuple(end)], 0.08),
            1.4 * scale,
            0.45,
        )
        pen.disc(end, 5.5 * scale, 0.75, 0.45)


def _sternal(pen: Pen, anatomy: Anatomy, scale: float, rng: np.random.Generator) -> None:
    for i in range(int(rng.integers(4, 7))):
        v = anatomy.heart_top - 0.3 + 0.13 * i
        x = rng.normal(0.01, 0.008)
        loop = np.array([(x - 0.03, v), (x, v - 0.025), (x + 0.03, v), (x, v + 0.025)])
        pen.line(spline(loop + rng.normal(0, 0.004, loop.shape)), 1.5 * scale, 0.9)


def _clips(pen: Pen, anatomy: Anatomy, scale: float, rng: np.random.Generator) -> None:
    centre = np.array([rng.choice([-1, 1]) * rng.uniform(0.1, 0.6), rng.uniform(-0.4, 0.3)])
    for _ in range(int(rng.integers(3, 7))):
        at = centre + rng.normal(0, 0.05, 2)
        pen.line(np.stack([at, at + rng.normal(0, 0.018, 2)]), 1.6 * scale, 0.95)


_DRAWERS = {
    "endotracheal tube": _tube,
    "enteric tube": _enteric,
    "central line": _central,
    "pacemaker": _pacemaker,
    "leads": _leads,
    "sternal wires": _sternal,
    "clips": _clips,
}


def draw_objects(
    view: View, anatomy: Anatomy, count: int, rng: np.random.Generator
) -> tuple[Field, list[Shape]]:
    """Draw `count` foreign objects over the lungs; return their attenuation and outlines."""
    total = np.zeros(view.shape, dtype=np.float32)
    shapes = []
    a = anatomy
    for _ in range(count):
        at = np.array(
            [
                rng.choice(list(SIDES.values())) * rng.uniform(0.15, 0.95) * a.half_width,
                rng.uniform(a.apex + 0.15, a.dome),
            ]
        )
        pen = Pen(view)
        kind = OBJECTS[rng.integers(len(OBJECTS))]
        size = rng.uniform(0.045, 0.08) * view.unit
        shapes.append(_object(pen, kind, at, size, rng))
        # The denser object counts: attenuations of thin metal are not added up.
        total = np.maximum(total, pen.field())
    return total, shapes


def _object(pen: Pen, kind: str, at: Points, size: float, rng: np.random.Generator) -> Shape:
    view, ink = pen.view, float(rng.uniform(0.6, 1.0))
    centre = view.pixels(at[None])[0]
    ball = np.stack([centre - size, centre + size])
    if kind in {"coin", "button", "ring"}:
        hole = {"coin": 0.0, "button": 0.3, "ring": 0.75}[kind]
        pen.disc(at, size, ink, hole)
        return Shape(1, ball)
    unit = size / view.unit
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    if kind == "star":
        turns = angle + np.arange(10) * np.pi / 5
        reach = unit * np.where(np.arange(10) % 2, 0.5, 1.2)
        points = at + reach[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        pen.polygon(points, ink)
        return Shape(2, view.pixels(points))
    length = {"pin": 1.6, "chain": 3.0, "zip": 2.6, "clip": 1.3}[kind] * unit
    t = np.linspace(-1, 1, 15)[:, None]
    bow = unit * (1 - t**2) * (1.2 if kind == "chain" else 0.15)
    path = at + length * t * along + bow * across
    if kind in {"chain", "zip"}:
        for point in path:
            pen.disc(point, 0.28 * size, ink)
    else:
        pen.line(path, 0.3 * size, ink)
    edge = 0.35 * unit * across
    if kind == "chain":
        return Shape(2, view.pixels(np.concatenate([path[::2] + edge, path[::-2] - edge])))
    pixels = view.pixels(path)
    corners = np.stack([pixels.min(0) - 0.3 * size, pixels.max(0) + 0.3 * size])
    return Shape(0, corners)
