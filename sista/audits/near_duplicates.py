"""Films that show nearly the same pixels, also recompressed, resized, mirrored or inverted.

A film's descriptor is its low frequencies: a thumbnail of equal grey histogram, its cosine
transform without the mean. Copies of one film lie within 0.02 of each other; the nearest films of
other people, among the open sets, are at 0.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from scipy.spatial.distance import cdist

from sista.runs.container import read_container

Floats = NDArray[np.float32]
Pairs = NDArray[np.int64]
THUMB = 32
FREQUENCIES = 8
NEAR = 0.06
# Grey levels: a film whose thumbnail varies less shows nothing that could be compared.
BLANK = 2.0
FORMS = ("near copy", "mirrored", "inverted")
# Up to here all pairs are compared; beyond it those that share a part of their hash.
COMPARED = 3000
BITS, BANDS = 32, 16
CHUNK = 1024


@dataclass(frozen=True)
class Thumbnails:
    """Small pictures of films.

    Attributes:
        grey: `[N, THUMB, THUMB]` uint8, of the film without its padding.
    """

    grey: NDArray[np.uint8]

    @property
    def blank(self) -> NDArray[np.bool_]:
        """Which films show nothing, `[N]`."""
        found: NDArray[np.bool_] = self.grey.std(axis=(1, 2)) < BLANK
        return found


def thumbnails(frame: pd.DataFrame, container: Path) -> Thumbnails:
    """Return thumbnails of the films of a manifest, in its order.

    Args:
        frame: a manifest.
        container: its prepared images.

    Raises:
        UserError: the container is damaged or too short.
    """
    grey = np.empty((len(frame), THUMB, THUMB), dtype=np.uint8)
    columns = ("row", "width", "height", "scale", "pad_x", "pad_y")
    places = np.stack([frame[name].to_numpy(float) for name in columns], axis=1)
    last = int(frame["row"].max())
    # Opened again for each chunk: pages that were read of a map stay in memory as long as it does.
    for part in _parts(len(frame)):
        images = read_container(container, last)
        for index in range(part.start, part.stop):
            row, width, height, scale, left, top = places[index]
            box = (left, top, left + max(1.0, width * scale), top + max(1.0, height * scale))
            picture = Image.fromarray(images[int(row)])
            small = picture.resize((THUMB, THUMB), Image.Resampling.BOX, box, reducing_gap=2.0)
            grey[index] = np.asarray(small)
    return Thumbnails(grey)


def _parts(count: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def descriptors(thumbs: Thumbnails) -> Floats:
    """Return unit vectors `[N, FREQUENCIES² - 1]` of thumbnails; those of blank films are 0."""
    parts = [_frequencies(thumbs.grey[part]) for part in _parts(len(thumbs.grey))]
    vectors = np.concatenate(parts) if parts else np.empty((0, FREQUENCIES**2 - 1), np.float32)
    vectors[thumbs.blank] = 0.0
    return vectors


def _frequencies(grey: NDArray[np.uint8]) -> Floats:
    count = len(grey)
    # Each grey becomes the share of darker pixels: brightness, contrast and gamma leave no trace.
    flat = grey.reshape(count, -1).astype(np.intp) + 256 * np.arange(count)[:, None]
    histogram = np.bincount(flat.ravel(), minlength=256 * count).reshape(count, 256)
    share = (histogram.cumsum(axis=1) - histogram / 2).astype(np.float32).ravel()
    equal = share[flat].reshape(grey.shape)
    equal -= equal.mean(axis=(1, 2), keepdims=True)
    waves = dctn(equal, axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
    vectors = waves.reshape(count, -1)[:, 1:]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = (vectors / np.maximum(length, 1e-6)).astype(np.float32)
    return unit


def near_pairs(vectors: Floats) -> dict[str, Pairs]:
    """Return pairs of films by form of likeness, `[P, 2]` rows with the smaller one first.

    Args:
        vectors: `[N, D]` descriptors; vectors of 0 are left out.
    """
    kept = np.flatnonzero(np.abs(vectors).max(axis=1, initial=0.0) > 0)
    known = vectors[kept]
    # Of a mirrored film the odd waves along a line change their sign, of an inverted one all.
    signs = np.tile((-1.0) ** np.arange(FREQUENCIES), FREQUENCIES)[1:].astype(np.float32)
    found: dict[str, Pairs] = {}
    taken = np.empty((0, 2), dtype=np.int64)
    for form, sign in zip(FORMS, (np.ones_like(signs), signs, -np.ones_like(signs)), strict=True):
        pairs = _compare_all(known, sign) if len(known) <= COMPARED else _compare_alike(known, sign)
        rows = kept[pairs].reshape(-1, 2)
        # A symmetric film is its own mirror image: a copy counts once.
        new = ~np.isin(_codes(rows), _codes(taken))
        found[form] = rows[new]
        taken = np.concatenate((taken, found[form]))
    return found


def _codes(pairs: Pairs) -> NDArray[np.int64]:
    return (pairs[:, 0] << 32) + pairs[:, 1]


def _compare_all(vectors: Floats, sign: Floats) -> Pairs:
    found = [np.empty((0, 2), dtype=np.int64)]
    for part in _parts(len(vectors)):
        first, second = np.nonzero(cdist(vectors[part], vectors * sign) < NEAR)
        first = first + part.start
        found.append(np.stack((first, second), axis=1)[first < second])
    return np.concatenate(found)


def _compare_alike(vectors: Floats, sign: Floats) -> Pairs:
    """Compare films whose hashes agree in one of several bands of bits.

    A bit says on which side of the median a film lies along a principal axis, so each halves the
    set. A copy within `NEAR` / 3 flips a bit or two, which few of the bands hold. As many bits as
    the number of films has make buckets of a film or two.
    """
    centre = vectors.mean(axis=0)
    spread = np.cov(vectors - centre, rowvar=False)
    axes = np.linalg.eigh(spread)[1][:, ::-1][:, :BITS].astype(np.float32)
    along = vectors @ axes
    median = np.median(along, axis=0)
    plain = bool((sign > 0).all())
    own = along > median
    other = own if plain else ((vectors * sign) @ axes) > median
    chance, bits = np.random.default_rng(0), len(vectors).bit_length()
    found = []
    for _ in range(BANDS):
        band = chance.permutation(own.shape[1])[:bits]
        weights = 1 << np.arange(len(band))
        keys, others = own[:, band] @ weights, other[:, band] @ weights
        for pairs in _of_equal_keys(keys, None if plain else others):
            gap = vectors[pairs[:, 0]] - vectors[pairs[:, 1]] * sign
            found.append(pairs[np.einsum("nd,nd->n", gap, gap) < NEAR**2])
    together = np.sort(np.concatenate([np.empty((0, 2), dtype=np.int64), *found]), axis=1)
    return np.unique(together, axis=0)


def _of_equal_keys(keys: NDArray[np.int64], others: NDArray[np.int64] | None) -> Iterator[Pairs]:
    """Yield pairs (row of `keys`, row of `others`) of different rows with equal keys.

    Without `others` each pair of rows is there once. Memory stays that of the set, whatever the
    buckets hold: a round takes the next partner of each row.
    """
    order = np.argsort(keys, kind="stable")
    asked = keys if others is None else others
    place = np.searchsorted(keys, asked, "left", sorter=order)
    end = np.searchsorted(keys, asked, "right", sorter=order)
    rows = np.arange(len(asked))
    while (waiting := place < end).any():
        rows, place, end = rows[waiting], place[waiting], end[waiting]
        partner = order[place]
        kept = partner < rows if others is None else partner != rows
        if kept.any():
            yield np.stack((partner[kept], rows[kept]), axis=1)
        place = place + 1
