"""One film: anatomy, findings and devices added up as attenuation, then exposed and digitised."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from sista.phantom.anatomy import SIDES, Anatomy, body, heart, lung, mediastinum
from sista.phantom.canvas import Field, View, fill, noise, resize, sigmoid, soften
from sista.phantom.devices import Shape, draw_devices, draw_objects
from sista.phantom.findings import Finding
from sista.phantom.lesions import Chest, Mask, draw
from sista.phantom.skeleton import airways, clavicles, ribs, spine, vessels

# Fewer pixels are no finding that anyone could mark.
SMALLEST = 12


@dataclass(frozen=True)
class Mark:
    """One drawn finding on one side with its mask `[H, W]`."""

    finding: Finding
    side: str
    mask: Mask


@dataclass(frozen=True)
class Film:
    """A digitised film.

    Args:
        pixels: brightness 0..1, `[H, W]`.
        marks: what was drawn, with exact masks.
        objects: outlines of foreign objects in pixels.
        lungs: each lung as the findings leave it, also behind the heart, `[H, W]`.
    """

    pixels: Field
    marks: tuple[Mark, ...]
    objects: tuple[Shape, ...]
    lungs: Mapping[str, Mask]


def render(
    view: View,
    anatomy: Anatomy,
    findings: tuple[Finding, ...],
    devices: tuple[str, ...],
    rng: np.random.Generator,
) -> Film:
    """Draw one frontal film.

    Args:
        view: placement of the chest on the film.
        anatomy: the patient's chest.
        findings: what the study shows; only visible ones are drawn.
        devices: support devices to draw.
        rng: randomness of this film.
    """
    shown = tuple(finding for finding in findings if finding.visible)
    chest = _chest(view, anatomy, shown, rng)
    behind = chest.heart > 0.5
    marks = []
    for finding in shown:
        if finding.kind == "foreign_object":
            continue
        for side, mask in draw(chest, finding, rng):
            # What lies behind the heart could not be outlined on a frontal film.
            clean = mask if finding.kind in {"cardiomegaly", "hernia"} else _solid(mask & ~behind)
            if clean.sum() >= SMALLEST:
                marks.append(Mark(finding, side, clean))
    density = _density(chest, rng)
    metal = draw_devices(view, anatomy, devices, rng) if devices else 0.0
    objects: list[Shape] = []
    for finding in shown:
        if finding.kind == "foreign_object":
            count = 1 + finding.grade + int(2 * finding.place[0])
            drawn, objects = draw_objects(view, anatomy, count, rng)
            metal = np.maximum(metal, drawn)
            marks.append(Mark(finding, "", drawn > 0.25))
    density += np.float32(rng.uniform(0.22, 0.4)) * metal
    lungs = {side: inside > 0.5 for side, inside in chest.lungs.items()}
    return Film(_expose(view, density, rng), tuple(marks), tuple(objects), lungs)


def _solid(mask: Mask) -> Mask:
    """Drop specks: keep the connected parts with at least a fifth of the largest one's pixels."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept: Mask = (sizes >= 0.2 * sizes.max())[parts]
    return kept & mask


def _chest(
    view: View, anatomy: Anatomy, findings: tuple[Finding, ...], rng: np.random.Generator
) -> Chest:
    """Return the clear chest with the shape that the findings give it."""
    ratio = anatomy.heart_ratio + rng.normal(0, 0.014)
    raised = {side: max(0.0, rng.normal(0, 0.02)) for side in SIDES}
    shape = replace(anatomy, dome=anatomy.dome + rng.normal(0, 0.02))
    for finding in findings:
        if finding.kind == "cardiomegaly":
            ratio = (0.52, 0.555, 0.605)[finding.grade] + 0.03 * (finding.place[0] - 0.5)
        elif finding.kind == "emphysema":
            # Overinflation: low, flat diaphragms and a narrow heart.
            shape = replace(shape, dome=shape.dome + 0.12, sulcus=shape.sulcus + 0.07)
            ratio = min(ratio, 0.40)
        elif finding.kind == "atelectasis":
            for side in finding.sides:
                # Collapsed lung draws the diaphragm up.
                raised[side] += (0.03, 0.06, 0.09)[finding.grade]
    lungs = {side: fill(view, lung(shape, side, raised[side])) for side in SIDES}
    outline = heart(shape, ratio)
    return Chest(view, shape, raised, lungs, fill(view, outline), float(rng.uniform(0.38, 0.52)))


def _density(chest: Chest, rng: np.random.Generator) -> Field:
    """Add up attenuation: trunk, lungs, heart, bones, vessels, findings, overlying tissue."""
    view, a = chest.view, chest.anatomy
    u, v = view.grid
    pixel = view.unit / 160
    lungs = np.maximum(chest.lungs["right"], chest.lungs["left"])
    inside = soften(lungs, 3 * pixel)
    trunk = soften(fill(view, body(a)), 2 * pixel)
    thick = 0.80 + 0.12 * soften(trunk, 60 * pixel) - 0.20 * u * u + 0.10 * v
    total = trunk * thick
    centre = np.maximum(chest.heart, fill(view, mediastinum(a, float(rng.uniform(0, 0.03)))))
    centre = soften(centre, 3.5 * pixel)
    lucent = inside * (0.55 + 0.45 * soften(inside, 26 * pixel)) * (1 - 0.86 * centre)
    total -= np.float32(chest.depth) * lucent
    total += 0.06 * centre * (1 - 0.6 * np.abs(u))
    bone = np.float32(0.12 * a.bone)
    total += bone * ribs(view, a, rng) * (0.3 + 0.7 * inside)
    total += (1.1 * bone * clavicles(view, a) + 0.05 * a.spine * spine(view, a)) * trunk
    total -= 0.09 * airways(view, a)
    grain = noise(rng, view.shape, 2.2 * pixel) + noise(rng, view.shape, 4.5 * pixel)
    tree = np.float32(rng.uniform(0.10, 0.17)) * vessels(view, a, rng)
    tree += np.float32(rng.uniform(0.006, 0.026)) * grain
    total += tree * chest.air * inside * (1 - 0.6 * centre)
    total += chest.haze * lucent + chest.bulk
    total += _overlay(chest, rng) * trunk
    return total.astype(np.float32)


def _overlay(chest: Chest, rng: np.random.Generator) -> Field:
    """Return smooth tissue that hides nothing but moves the brightness of whole regions."""
    view, a = chest.view, chest.anatomy
    u, v = view.half
    veil = np.float32(rng.normal(0, 0.06)) * u + np.float32(rng.normal(0, 0.04)) * v
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(-0.8, 0.8), rng.uniform(-0.6, 0.6)
        wide, high = rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.5)
        r = ((u - x) / wide) ** 2 + ((v - y) / high) ** 2
        veil = veil + np.float32(rng.uniform(-0.05, 0.11)) * np.exp(-r)
    if a.female:
        for sign in SIDES.values():
            r = np.hypot((u - sign * 0.46) / 0.36, (v - a.dome + 0.16) / 0.34)
            veil = veil + np.float32(a.breast) * sigmoid((1 - r) / np.float32(0.06))
    gas = np.hypot((u - 0.36) / 0.15, (v - a.dome - 0.22) / 0.09)
    veil = veil - np.float32(rng.choice([0, 0.12])) * sigmoid((1 - gas) / np.float32(0.1))
    return resize(veil.astype(np.float32), view.shape)


def _expose(view: View, density: Field, rng: np.random.Generator) -> Field:
    """Turn attenuation into film brightness with exposure, noise, marker and collimator."""
    sample = density[::5, ::5]
    low, high = np.quantile(sample, [0.04, 0.97])
    low = float(low) - rng.uniform(-0.04, 0.12)
    high = float(high) + rng.uniform(-0.04, 0.16)
    x = np.clip((density - low) / (high - low), 0, None)
    x = x ** np.float32(rng.uniform(0.75, 1.35))
    x = x / (1 + 0.12 * x**4)
    graininess = np.float32(rng.uniform(0.012, 0.035))
    x = x + graininess * (0.6 + 0.6 * x) * noise(rng, view.shape, 1)
    x = x * np.float32(rng.uniform(0.78, 0.98)) + np.float32(rng.uniform(0.0, 0.08))
    _stamp(x, rng)
    film: Field = np.clip(x, 0, 1).astype(np.float32)
    return film


def _stamp(x: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Burn in the side marker (on the correct side) and, at times, a collimator border."""
    height, width = x.shape
    letter = "R" if rng.random() < 0.4 else "L"
    tile = Image.new("L", (12, 14))
    ImageDraw.Draw(tile).text((2, 0), letter, fill=255, font=ImageFont.load_default(12))
    row = int(rng.uniform(0.03, 0.12) * height)
    margin = int(rng.uniform(0.03, 0.1) * width)
    left = margin if letter == "R" else width - margin - 12
    ink = np.asarray(tile, dtype=np.float32) / 255
    x[row : row + 14, left : left + 12] = np.maximum(x[row : row + 14, left : left + 12], ink)
    if rng.random() < 0.25:
        side = int(rng.uniform(0.0, 0.05) * width)
        x[:, :side] = 0.02
        x[:, width - side :] = 0.02
        x[: int(rng.uniform(0.0, 0.04) * height)] = 0.02
