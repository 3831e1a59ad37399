"""Drawing of findings into a chest: changes of attenuation and the exact mask of each."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sista.phantom.anatomy import SIDES, Anatomy, lung, zone_centre
from sista.phantom.canvas import (
    Field,
    Pen,
    Points,
    View,
    fill,
    noise,
    resize,
    sigmoid,
    soften,
    spline,
)
from sista.phantom.findings import Finding

Mask = NDArray[np.bool_]


@dataclass
class Chest:
    """A film being drawn.

    Args:
        view: placement on the film.
        anatomy: the patient's chest, as changed by this study's findings.
        raised: how far each side's diaphragm stands up.
        lungs: 1 inside the lung of each side, `[H, W]`.
        heart: 1 inside the heart, `[H, W]`.
        depth: attenuation that air takes away where the lung is thickest.
        haze: attenuation added by findings where there is air, `[H, W]`.
        bulk: attenuation added by findings anywhere, `[H, W]`.
        air: factor on lung vessels and lung texture, `[H, W]`.
    """

    view: View
    anatomy: Anatomy
    raised: dict[str, float]
    lungs: dict[str, Field]
    heart: Field
    depth: float
    haze: Field = field(init=False)
    bulk: Field = field(init=False)
    air: Field = field(init=False)

    def __post_init__(self) -> None:
        """Start with a clear chest."""
        self.haze = np.zeros(self.view.shape, dtype=np.float32)
        self.bulk = np.zeros(self.view.shape, dtype=np.float32)
        self.air = np.ones(self.view.shape, dtype=np.float32)


Drawer = Callable[[Chest, Finding, str, np.random.Generator], Mask]


def draw(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[tuple[str, Mask]]:
    """Draw `finding` into `chest` and return (side, mask) for each place it takes."""
    drawer = DRAWERS[finding.kind]
    return [(side, drawer(chest, finding, side, rng)) for side in finding.sides]


def _patch(
    chest: Chest, rng: np.random.Generator, centre: tuple[float, float], size: tuple[float, float]
) -> Field:
    """Return a soft irregular blob, 1 in its middle, about .5 at its border, `[H, W]`."""
    u, v = chest.view.half
    r = np.hypot((u - centre[0]) / size[0], (v - centre[1]) / size[1])
    rough = noise(rng, u.shape, 0.09 * chest.view.unit / 2) * np.float32(0.11)
    return resize(sigmoid((1 - r + rough) * np.float32(7)), chest.view.shape)


def _centre(chest: Chest, finding: Finding, side: str) -> tuple[float, float]:
    u, v = zone_centre(chest.anatomy, side, finding.zone or "mid")
    shift = (finding.place[0] - 0.5) * 0.2, (finding.place[1] - 0.5) * 0.16
    return u + shift[0], v + shift[1]


def _opacity(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    size = (0.17, 0.22, 0.27)[finding.grade] * (0.9 + 0.3 * finding.place[2])
    alpha = _patch(chest, rng, _centre(chest, finding, side), (size, 1.15 * size))
    alpha = alpha * chest.lungs[side]
    scale = chest.view.unit / 160
    shape = chest.view.shape
    blotches = noise(rng, shape, 11 * scale) + 0.7 * noise(rng, shape, 5.5 * scale)
    chest.haze += chest.depth * alpha * np.clip(0.60 + 0.15 * blotches, 0.05, 0.9)
    return alpha > 0.5


def _consolidation(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    size = (0.17, 0.22, 0.28)[finding.grade] * (0.9 + 0.3 * finding.place[2])
    centre = _centre(chest, finding, side)
    alpha = _patch(chest, rng, centre, (1.1 * size, size)) * chest.lungs[side]
    pen = Pen(chest.view)
    sign = SIDES[side]
    grain = noise(rng, chest.view.shape, 9 * chest.view.unit / 160)
    # Air bronchograms: bronchi that hold air stay dark inside the filled lung.
    for _ in range(5):
        start = np.array(centre) + rng.normal(0, 0.35 * size, 2)
        angle = rng.normal(0.3, 0.7)
        tip = start + size * np.array([sign * np.cos(angle), np.sin(angle)])
        pen.line(np.stack([start, (start + tip) / 2 + rng.normal(0, 0.015, 2), tip]), 2.2, 0.9)
    chest.haze += chest.depth * alpha * (0.80 - 0.28 * soften(pen.field(), 1.5) + 0.04 * grain)
    chest.air *= 1 - alpha
    return alpha > 0.5


def _effusion(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    a, (u, v) = chest.anatomy, chest.view.grid
    height = (0.26, 0.40, 0.58)[finding.grade] * (0.9 + 0.25 * finding.place[0])
    across = np.clip(np.abs(u) / np.float32(a.half_width), 0, 1)
    base = a.sulcus - 0.6 * chest.raised[side] + (0.03 if side == "left" else 0)
    # A meniscus: the fluid stands highest at the chest wall.
    border = base - height * (0.45 + 0.55 * across**4)
    fluid = sigmoid((v - border) / np.float32(0.012)) * chest.lungs[side]
    chest.haze += chest.depth * fluid * np.float32(0.95)
    chest.air *= 1 - fluid
    return fluid > 0.5


def _collapsed(chest: Chest, side: str, amount: float, low: float) -> Points:
    """Return the lung's outline drawn away from the lateral wall and apex by `amount`."""
    outline = lung(chest.anatomy, side, chest.raised[side])
    sign, a = SIDES[side], chest.anatomy
    hilum = np.array([sign * 0.18, a.heart_top + 0.1])
    height = np.clip((a.sulcus - outline[:, 1]) / (a.sulcus - a.apex), 0, 1)
    lateral = np.clip((np.abs(outline[:, 0]) - 0.16) / 0.1, 0, 1)
    pull = amount * (low + (1 - low) * height) * lateral
    drawn: Points = outline + (hilum - outline) * pull[:, None]
    return drawn


def _pneumothorax(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    amount = (0.25, 0.36, 0.50)[finding.grade] * (0.9 + 0.25 * finding.place[0])
    low = 0.35 if finding.grade == 2 else 0.05
    outline = _collapsed(chest, side, amount, low)
    inner = fill(chest.view, outline)
    free = chest.lungs[side] * (1 - inner)
    pen = Pen(chest.view)
    # The visceral pleura, a thin line beyond which no vessel runs.
    pen.line(np.concatenate([outline, outline[:1]]), 2.2 * chest.view.unit / 160, 1.0)
    edge = np.maximum(free, inner * 0.6) * chest.lungs[side]
    outer = np.abs(chest.view.grid[0]) > 0.2
    chest.haze += chest.depth * (0.5 * pen.field() * edge * outer - 0.32 * free)
    chest.haze += chest.depth * 0.08 * inner * chest.lungs[side]
    chest.air *= 1 - free
    return free > 0.5


def _cardiomegaly(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    return chest.heart > 0.5


def _edema(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    sign, a, scale = SIDES[side], chest.anatomy, chest.view.unit / 160
    strength = (0.45, 0.65, 0.9)[finding.grade]
    # Around the hilum, in the shape of a bat's wing.
    alpha = _patch(chest, rng, (sign * 0.30, a.heart_top + 0.18), (0.30, 0.42)) * chest.lungs[side]
    veil = noise(rng, chest.view.shape, 3.0 * scale) + noise(rng, chest.view.shape, 5.5 * scale)
    chest.haze += chest.depth * strength * alpha * np.clip(0.26 + 0.11 * veil, 0, 0.7)
    pen = Pen(chest.view)
    # Kerley B lines: short, level, from the chest wall inwards, above the diaphragm.
    for _ in range(7 + 3 * finding.grade):
        v = rng.uniform(a.dome - 0.35, a.dome + 0.08)
        start = sign * (a.half_width - rng.uniform(0.015, 0.03))
        tilt = rng.normal(0, 0.01)
        pen.line(np.array([(start, v), (start - sign * rng.uniform(0.06, 0.12), v + tilt)]), 1.6, 1)
    chest.haze += chest.depth * strength * 0.3 * pen.field() * chest.lungs[side]
    return alpha > 0.5


def _atelectasis(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    pen, sign, a = Pen(chest.view), SIDES[side], chest.anatomy
    u, v = zone_centre(a, side, finding.zone)
    if finding.zone == "lower":
        v = a.dome - chest.raised[side] - 0.07
    thick = (0.036, 0.044, 0.052)[finding.grade]
    # Plates of collapsed lung, one above the other.
    for i in range(1 + finding.grade):
        length = 0.15 + 0.07 * finding.place[0] + 0.03 * finding.grade
        y = v - 0.085 * i + (finding.place[1] - 0.5) * 0.06
        tilt = sign * rng.normal(-0.04, 0.05)
        middle = u - sign * 0.06 * finding.place[2]
        ends = np.array([(middle - length, y - tilt), (middle + length, y + tilt)])
        bulge = np.array([0.0, thick])
        pen.polygon(
            spline(np.stack([ends[0], ends.mean(0) - bulge, ends[1], ends.mean(0) + bulge])), 1
        )
    band = soften(pen.field(), 1.6 * chest.view.unit / 160) * chest.lungs[side]
    fringe = noise(rng, chest.view.shape, 5 * chest.view.unit / 160)
    chest.haze += chest.depth * band * np.clip(0.70 + 0.08 * fringe, 0.3, 1.0)
    return band > 0.5


def _nodule(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    size = (0.06, 0.08, 0.11)[finding.grade] * (0.9 + 0.25 * finding.place[2])
    u, v = chest.view.grid
    centre = _centre(chest, finding, side)
    r = np.hypot(u - centre[0], v - centre[1])
    rough = noise(rng, chest.view.shape, 6 * chest.view.unit / 160) * np.float32(0.06)
    alpha = sigmoid((size * (1 + rough) - r) / np.float32(0.008)) * chest.lungs[side]
    chest.haze += chest.depth * np.float32(0.7) * alpha
    return alpha > 0.5


def _covid(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    sign, a, scale = SIDES[side], chest.anatomy, chest.view.unit / 160
    alpha = np.zeros(chest.view.shape, dtype=np.float32)
    for i in range(2 + finding.grade):
        # Near the chest wall, from the base upwards.
        centre = sign * a.half_width * rng.uniform(0.7, 0.9), a.dome - 0.02 - 0.24 * i
        size = rng.uniform(0.11, 0.16)
        alpha = np.maximum(alpha, _patch(chest, rng, centre, (size, 1.2 * size)))
    alpha *= chest.lungs[side]
    grain = noise(rng, chest.view.shape, 4 * scale)
    chest.haze += chest.depth * alpha * np.clip(0.33 + 0.10 * grain, 0, 0.7)
    return alpha > 0.5


def _emphysema(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    chest.haze -= np.float32(0.12 * chest.depth) * chest.lungs[side]
    # Vessels thin out; low diaphragms and the narrow heart are made with the chest.
    chest.air *= 1 - np.float32(0.55) * chest.lungs[side]
    return chest.lungs[side] > 0.5


def _fibrosis(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    sign, a = SIDES[side], chest.anatomy
    alpha = _patch(chest, rng, (sign * 0.72 * a.half_width, a.dome - 0.08), (0.3, 0.34))
    alpha = alpha * chest.lungs[side]
    scale = chest.view.unit / 160
    # A net of thin lines: bright where the noise passes through zero.
    mesh = np.exp(-((noise(rng, chest.view.shape, 6 * scale) / np.float32(0.3)) ** 2))
    chest.haze += chest.depth * alpha * (0.06 + (0.28, 0.36, 0.44)[finding.grade] * mesh)
    return alpha > 0.5


def _pleural_thickening(
    chest: Chest, finding: Finding, side: str, rng: np.random.Generator
) -> Mask:
    outline = _collapsed(chest, side, (0.10, 0.14, 0.18)[finding.grade], 0.7)
    band = chest.lungs[side] * (1 - fill(chest.view, outline))
    chest.haze += chest.depth * np.float32(0.5) * band
    return band > 0.5


def _hernia(chest: Chest, finding: Finding, side: str, rng: np.random.Generator) -> Mask:
    u, v = chest.view.grid
    size = (0.11, 0.14, 0.17)[finding.grade]
    centre = 0.05 + 0.1 * (finding.place[0] - 0.5), chest.anatomy.dome - 0.04
    r = np.hypot((u - centre[0]) / 1.2, v - centre[1])
    alpha = sigmoid((size - r) / np.float32(0.01))
    # Gas collects in the upper part of the hernia.
    gas = sigmoid((0.8 * size - r) / np.float32(0.01)) * sigmoid((centre[1] - v) / 0.006)
    chest.bulk += chest.depth * (0.35 * alpha - 0.65 * gas)
    return alpha > 0.5


DRAWERS: dict[str, Drawer] = {
    "opacity": _opacity,
    "consolidation": _consolidation,
    "effusion": _effusion,
    "pneumothorax": _pneumothorax,
    "cardiomegaly": _cardiomegaly,
    "edema": _edema,
    "atelectasis": _atelectasis,
    "nodule": _nodule,
    "covid": _covid,
    "emphysema": _emphysema,
    "fibrosis": _fibrosis,
    "pleural_thickening": _pleural_thickening,
    "hernia": _hernia,
}
