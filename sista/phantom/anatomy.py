"""The chest of one patient and the outlines that follow from it, in chest coordinates."""

from dataclasses import dataclass

import numpy as np

from sista.phantom.canvas import Points, View, spline

# A film is looked at face to face: the patient's right lies on its left.
SIDES = {"right": -1, "left": 1}


@dataclass(frozen=True)
class Anatomy:
    """Shape of a patient's chest; lengths in chest units.

    Args:
        half_width: midline to the outer lung border.
        apex: v of the lung apices.
        dome: v of the right diaphragm's dome.
        sulcus: v of the costophrenic angles.
        wall: thickness of the lateral chest wall.
        heart_ratio: heart width over chest width.
        heart_top: v of the heart's upper border.
        knob: radius of the aortic knob.
        ribs: distance between ribs.
        rib_slope: fall of the posterior ribs over one chest unit.
        rib_phase: start of the first rib, 0..1.
        clavicle: height of the clavicles' outer ends over the inner ends.
        female: whether breast shadows are drawn.
        breast: strength of the breast shadows.
        spine: contrast of the vertebrae.
        bone: contrast of ribs and clavicles.
        age: years.
    """

    half_width: float
    apex: float
    dome: float
    sulcus: float
    wall: float
    heart_ratio: float
    heart_top: float
    knob: float
    ribs: float
    rib_slope: float
    rib_phase: float
    clavicle: float
    female: bool
    breast: float
    spine: float
    bone: float
    age: int


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a patient's chest."""
    dome = rng.normal(0.40, 0.07)
    return Anatomy(
        half_width=rng.normal(0.72, 0.045),
        apex=rng.normal(-0.74, 0.035),
        dome=dome,
        sulcus=dome + rng.uniform(0.17, 0.26),
        wall=rng.uniform(0.09, 0.22),
        heart_ratio=rng.uniform(0.40, 0.50),
        heart_top=rng.normal(-0.24, 0.03),
        knob=rng.uniform(0.055, 0.095),
        ribs=rng.uniform(0.165, 0.205),
        rib_slope=rng.uniform(0.15, 0.5),
        rib_phase=rng.uniform(),
        clavicle=rng.uniform(0.0, 0.16),
        female=bool(rng.random() < 0.47),
        breast=rng.uniform(0.04, 0.14),
        spine=rng.uniform(0.5, 1.2),
        bone=rng.uniform(0.6, 1.25),
        age=int(np.clip(rng.normal(58, 17), 18, 90)),
    )


def sample_view(rng: np.random.Generator, size: int, square: bool) -> View:
    """Draw the film's shape and the chest's placement on it.

    Args:
        rng: source of randomness.
        size: shorter side in pixels.
        square: whether both sides are `size`; else one is up to 20 % longer.
    """
    height = width = size
    if not square:
        long = round(size * rng.uniform(1.0, 1.2))
        height, width = (size, long) if rng.random() < 0.45 else (long, size)
    unit = 0.5 * size * rng.uniform(0.92, 1.18)
    x = width / 2 + size * rng.normal(0, 0.03)
    y = height / 2 + size * rng.normal(0.01, 0.035)
    return View(height, width, (x, y), unit, float(np.deg2rad(rng.normal(0, 3.5))))


def lung(anatomy: Anatomy, side: str, raised: float = 0.0) -> Points:
    """Return the closed outline of one lung.

    Args:
        anatomy: the chest.
        side: `right` or `left`.
        raised: how far the diaphragm of this side stands up (volume loss), chest units.
    """
    a, sign = anatomy, SIDES[side]
    # v points down: the right diaphragm stands higher, since the liver lies under it.
    dome = a.dome + (0.05 if side == "left" else 0.0) - raised
    sulcus = a.sulcus + (0.03 if side == "left" else 0.0) - 0.6 * raised
    w, top = a.half_width, a.apex
    middle = (top + sulcus) / 2
    points = np.array(
        [
            (0.29, top),
            (0.44, top + 0.07),
            (0.58 * w / 0.72, top + 0.25),
            (0.92 * w, middle - 0.10),
            (w, middle + 0.18),
            (w * 1.0, sulcus - 0.10),
            (w - 0.02, sulcus),
            (0.80 * w, dome + 0.07),
            (0.55 * w, dome),
            (0.32 * w, dome + 0.03),
            (0.16, dome + 0.09),
            (0.14, middle + 0.1),
            (0.13, middle - 0.15),
            (0.13, top + 0.3),
            (0.16, top + 0.1),
        ]
    )
    return spline(points * np.array([sign, 1.0]))


def heart(anatomy: Anatomy, ratio: float) -> Points:
    """Return the heart's closed outline at cardiothoracic ratio `ratio`."""
    a = anatomy
    width = ratio * 2 * a.half_width
    # About a third of the heart lies right of the midline.
    right, left = 0.34 * width, 0.66 * width
    top, base = a.heart_top, a.dome + 0.16
    middle = 0.5 * (top + a.dome)
    points = np.array(
        [
            (-0.09, top - 0.06),
            (-0.75 * right, top + 0.14),
            (-right, middle + 0.12),
            (-0.9 * right, a.dome),
            (-0.5 * right, base),
            (0.3 * left, base + 0.05),
            (0.8 * left, base - 0.02),
            (left, a.dome - 0.0),
            (0.90 * left, middle + 0.08),
            (0.62 * left, top + 0.16),
            (0.16, top - 0.02),
            (0.10, top - 0.12),
        ]
    )
    return spline(points)


def body(anatomy: Anatomy) -> Points:
    """Return the closed outline of neck, shoulders and trunk."""
    wall = anatomy.half_width + anatomy.wall
    half = [
        (0.27, -1.5),
        (0.25, -1.02),
        (0.36, -0.93),
        (0.72, -0.86),
        (1.02, -0.76),
        (1.15, -0.5),
        (wall + 0.10, -0.28),
        (wall, 0.1),
        (wall + 0.01, 0.5),
        (wall - 0.03, 1.5),
    ]
    left = np.array(half)
    return spline(np.concatenate([left, left[::-1] * np.array([-1.0, 1.0])]), steps=5)


def mediastinum(anatomy: Anatomy, widening: float = 0.0) -> Points:
    """Return the outline of the upper mediastinum with the aortic knob on the left."""
    k, top = anatomy.knob + widening, anatomy.heart_top
    points = np.array(
        [
            (-0.14, -1.05),
            (-0.13 - widening, -0.6),
            (-0.13 - widening, -0.38),
            (-0.11, top + 0.1),
            (0.12, top + 0.1),
            (0.11, top - 0.06),
            (0.10 + 1.1 * k, top - 0.16),
            (0.10 + 0.9 * k, top - 0.24),
            (0.12, top - 0.32),
            (0.13, -1.05),
        ]
    )
    return spline(points)


def zone_centre(anatomy: Anatomy, side: str, zone: str) -> tuple[float, float]:
    """Return (u, v) of the middle of a lung zone (`upper`, `mid` or `lower`)."""
    a = anatomy
    height = a.dome - a.apex
    at = {"upper": 0.27, "mid": 0.55, "lower": 0.82}[zone]
    out = {"upper": 0.52, "mid": 0.60, "lower": 0.66}[zone]
    return SIDES[side] * out * a.half_width, a.apex + at * height
