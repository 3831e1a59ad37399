"""A plain lateral film, so that readers of frontal films have something to leave out."""

import numpy as np

from sista.phantom.anatomy import Anatomy
from sista.phantom.canvas import Field, View, noise, sigmoid


def render_lateral(view: View, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Return brightness 0..1 `[H, W]` of a lateral film without findings."""
    u, v = view.grid
    trunk = sigmoid((0.72 - np.hypot(u, 0.35 * v)) / np.float32(0.03))
    lung = sigmoid((1 - np.hypot((u - 0.02) / 0.52, (v + 0.15) / 0.62)) / np.float32(0.05))
    lung = lung * sigmoid((anatomy.dome + 0.25 * u - v) / np.float32(0.02))
    heart = sigmoid((1 - np.hypot((u + 0.2) / 0.24, (v - 0.2) / 0.3)) / np.float32(0.1))
    wave = np.cos((v + anatomy.rib_phase) * np.float32(2 * np.pi / 0.12))
    spine = sigmoid((0.07 - np.abs(u - 0.48 - 0.08 * v * v)) / np.float32(0.015))
    ribs = np.cos((v - 0.35 * u) * np.float32(2 * np.pi / anatomy.ribs)) > 0.6
    density = 0.75 * trunk - 0.4 * lung * (1 - 0.7 * heart) + spine * (0.1 + 0.04 * wave)
    density = density + 0.04 * ribs * lung + 0.02 * noise(rng, view.shape, 1)
    film: Field = np.clip(density * np.float32(rng.uniform(0.9, 1.15)), 0, 1).astype(np.float32)
    return film
