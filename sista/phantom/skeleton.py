"""Bones, airways and lung vessels as attenuation maps."""

import numpy as np

from sista.phantom.anatomy import SIDES, Anatomy
from sista.phantom.canvas import Field, Pen, Points, View, sigmoid, spline

RIB_COUNT = 14
PROFILE = 64
VESSEL_WIDTHS = (3.4, 2.4, 1.6, 1.1)
VESSEL_VALUES = (0.9, 0.75, 0.55, 0.4)


def ribs(view: View, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Return posterior and anterior ribs, about 0..1, `[H, W]`.

    All ribs of a kind form one family of curves, so each pixel's place between two ribs is one
    phase and the whole cage is drawn at once.
    """
    a = anatomy
    u, v = view.grid
    out = np.minimum(np.abs(u) / np.float32(a.half_width), np.float32(1.15))
    # At the chest wall posterior ribs bend down and anterior ones up, towards each other.
    turn = np.maximum(out - 0.72, 0) ** 2
    start = a.apex - 0.06 - a.rib_phase * a.ribs
    back = (v - start - a.rib_slope * a.half_width * out**1.6 - 2.2 * turn) / a.ribs
    drop = 0.62 * a.half_width
    front = (v - start - 0.33 - drop * (1 - out) + 1.4 * turn) / (1.12 * a.ribs)
    fade = sigmoid((out - 0.42) / 0.06) * sigmoid((1.06 - out) / 0.02)
    cage = _bands(back, rng, 0.24, 0.75) * sigmoid((out - 0.14) / 0.02)
    cage *= sigmoid((1.06 - out) / 0.02)
    cage += 0.55 * _bands(front, rng, 0.28, 0.35) * fade
    return cage


def _bands(phase: Field, rng: np.random.Generator, half: float, cortex: float) -> Field:
    """Turn a rib phase into bright bands with brighter edges, varied from rib to rib."""
    # One row per rib and an empty one at each end, read like a long profile.
    distance = np.abs((np.arange(PROFILE) + 0.5) / PROFILE - 0.5)[None]
    widths = half * rng.uniform(0.85, 1.15, (RIB_COUNT, 1))
    values = rng.uniform(0.75, 1.15, (RIB_COUNT, 1))
    # The lowest ribs fade into the abdomen.
    values[-3:, 0] *= [0.7, 0.4, 0.2]
    inside = (widths - distance) * 14
    edge = np.maximum(0, 1 - np.abs(inside - 0.9))
    profile = values * (np.clip(inside + 0.5, 0, 1) * 0.62 + edge * 0.6 * cortex)
    table = np.pad(profile, ((1, 1), (0, 0))).ravel().astype(np.float32)
    position = np.clip((phase + 1) * np.float32(PROFILE), 0, table.size - 1)
    bands: Field = table[position.astype(np.intp)]
    return bands


def clavicles(view: View, anatomy: Anatomy) -> Field:
    """Return both clavicles, the scapulae's borders and the humeral heads, 0..1, `[H, W]`."""
    a, pen = anatomy, Pen(view)
    thick = 0.052 * view.unit
    for sign in SIDES.values():
        points = np.array(
            [
                (0.08, a.apex + 0.22),
                (0.22, a.apex + 0.20),
                (0.45, a.apex + 0.12 - 0.4 * a.clavicle),
                (0.68, a.apex + 0.05 - a.clavicle),
                (0.86, a.apex + 0.05 - a.clavicle),
            ]
        )
        path = spline(points * np.array([sign, 1.0]), closed=False)
        scapula = np.array([(0.80, -0.62), (0.72, -0.2), (0.80, 0.05), (0.90, -0.3)])
        scapula = scapula * np.array([sign * a.half_width / 0.72, 1.0])
        pen.polygon(spline(scapula), 0.3)
        pen.disc(np.array([sign * 1.02, a.apex + 0.12]), 0.1 * view.unit, 0.55)
        pen.line(path, thick, 1.0)
        pen.line(path, 0.6 * thick, 0.7)
    return pen.field()


def spine(view: View, anatomy: Anatomy) -> Field:
    """Return the vertebral column with its disc spaces, about 0..1, `[H, W]`."""
    u, v = view.grid
    column = sigmoid((0.085 - np.abs(u)) / 0.012)
    wave = np.cos((v + anatomy.rib_phase) * np.float32(2 * np.pi / (0.62 * anatomy.ribs)))
    bright: Field = column * (0.65 + 0.3 * wave)
    return bright


def airways(view: View, anatomy: Anatomy) -> Field:
    """Return trachea and main bronchi, 0..1, `[H, W]`; to be subtracted."""
    pen = Pen(view)
    top = anatomy.heart_top
    carina = (0.012, top - 0.2)
    pen.line(np.array([(0.0, -1.1), (0.005, -0.7), carina]), 0.062 * view.unit, 0.75)
    pen.line(np.array([carina, (-0.13, top - 0.06)]), 0.045 * view.unit, 0.5)
    pen.line(np.array([carina, (0.16, top - 0.05)]), 0.04 * view.unit, 0.5)
    return pen.field()


def vessels(view: View, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Return the branching vessels of both lungs, 0..1, `[H, W]`."""
    pen = Pen(view)
    scale = view.unit / 160
    for sign in SIDES.values():
        hilum = np.array([sign * 0.15, anatomy.heart_top + 0.06 - 0.02 * sign])
        angles = np.linspace(-1.35, 1.45, 7) + rng.normal(0, 0.12, 7)
        starts = hilum + np.stack([0 * angles, 0.05 * angles], axis=1)
        lengths = rng.uniform(0.2, 0.3, 7)
        for level, (width, value) in enumerate(zip(VESSEL_WIDTHS, VESSEL_VALUES, strict=True)):
            paths = _branches(rng, starts, angles, lengths, sign)
            pen.lines(paths, width * scale, value)
            if level == 3:
                break
            starts = np.concatenate([paths[:, -1], paths[:, 2]])
            turn = rng.uniform(0.15, 0.5, angles.size)
            flip = rng.choice([-1, 1], angles.size)
            angles = np.concatenate([angles + flip * 0.5 * turn, angles - flip * turn])
            lengths = np.tile(lengths, 2) * rng.uniform(0.6, 0.95, angles.size)
    return pen.field()


def _branches(
    rng: np.random.Generator, starts: Points, angles: Points, lengths: Points, sign: int
) -> Points:
    """Return slightly bent paths `[N, 4, 2]`; angle 0 points outwards, positive down."""
    steps = np.linspace(0, 1, 4)[None]
    bend = angles[:, None] + rng.normal(0, 0.25, angles.size)[:, None] * steps
    along = lengths[:, None] * steps
    x = starts[:, :1] + sign * np.cos(bend) * along
    y = starts[:, 1:] + np.sin(bend) * along
    return np.stack([x, y], axis=2)
