"""Qualitative sheets: predicted masks and boxes over test images, word-to-patch maps of STA.

A sheet shows films, so it is drawn from the phantom only, unless it is asked for otherwise.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sista import tables
from sista.errors import UserError
from sista.files import reading
from sista.preparation.frame import Frame
from sista.report.figures import STYLE
from sista.runs.arrays import read_arrays
from sista.runs.container import check_container, read_container
from sista.tasks._base import Overlay, find_task

PREFERRED = ("random_init", "clip", "sista", "supervised")
IMAGES = 4
# Of maps of a few films; they are packed.
MOST_BYTES = 256 << 20
WORDS = 5
FILLERS = {"the", "and", "with", "for", "are", "was", "there", "has", "have", "been", "this"}


def drawable(dataset: str, sheets: str) -> bool:
    """Return whether films of this data set may be shown: made-up ones, or all on request."""
    return sheets == "all" or dataset.partition("@")[2].startswith("phantom")


def chosen_variants(variants: Sequence[str]) -> list[str]:
    """Return at most four variants: the usual ones first, else in the grid's order."""
    usual = [name for name in PREFERRED if name in variants]
    rest = [name for name in variants if name not in usual]
    picked = [*usual, *rest][: len(PREFERRED)]
    return [name for name in variants if name in picked]


def overlay_sheet(
    task: str, runs: Sequence[tuple[str, Path]], prepared: Path
) -> tuple[Figure, int] | None:
    """Draw target and predictions of several variants over the same test images.

    Args:
        task: one that has an overlay.
        runs: variant and predictions file.
        prepared: folder with manifest.parquet and manifest.images.npy.

    Returns:
        The figure and the label fraction that it shows (10 % where there is one); None where
        no test image has a target.
    """
    overlay = find_task(task).overlay
    if overlay is None:
        return None
    read = [tables.read(path, f"predictions_{task}") for _, path in runs]
    tested = [frame[frame["subset"] == "test"] for frame, _ in read]
    common = set.intersection(*({*frame["fraction"]} for frame in tested)) if tested else set()
    if not common:
        return None
    fraction = 10 if 10 in common else int(max(common))
    parts = []
    for frame in tested:
        part = frame[frame["fraction"] == fraction]
        # One draw, else each film would come several times.
        part = part[part["draw"] == part["draw"].min()]
        parts.append(part.drop_duplicates("image_id").set_index("image_id"))
    images = _pick(overlay, parts[0])
    if not images:
        return None
    rows_by_image = [part.to_dict("index") for part in parts]
    manifest, meta = tables.read(prepared / "manifest.parquet", "manifest")
    manifest_rows = manifest.set_index("image_id").to_dict("index")
    if any(image not in rows for image in images for rows in (manifest_rows, *rows_by_image)):
        raise UserError(f"{prepared}: prepared anew since the predictions were made; run adapt")
    # Mapped: a few films of all are read.
    last = max(int(manifest_rows[image]["row"]) for image in images)
    container = prepared / "manifest.images.npy"
    check_container(container, len(manifest), int(meta["prepared_size"]))
    films = read_container(container, last)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(1.9 * (1 + len(runs)), 0.3 + 2.05 * len(images)))
        axes = figure.subplots(len(images), 1 + len(runs), squeeze=False)
        for line, image in zip(axes, images, strict=True):
            manifest_row = manifest_rows[image]
            film = np.asarray(films[int(manifest_row["row"])])
            _film(line[0], film)
            for axis, rows, (_, meta) in zip(line[1:], rows_by_image, read, strict=True):
                _film(axis, film)
                where = Frame.of(manifest_row, len(film), zoom=meta.get("zoom", 1.0))
                overlay.draw(axis, rows[image], where)
        for axis, name in zip(axes[0], ["film", *(variant for variant, _ in runs)], strict=True):
            axis.set_title(name)
        figure.tight_layout(pad=0.4)
    return figure, fraction


def _pick(overlay: Overlay, part: pd.DataFrame) -> list[str]:
    """Return images with a target, from the smallest to the largest, evenly spread."""
    sizes = [overlay.size(row) for row in part.to_dict("records")]
    order = sorted((size, str(image)) for size, image in zip(sizes, part.index, strict=True))
    there = [image for size, image in order if size > 0]
    chosen = np.linspace(0, len(there) - 1, min(IMAGES, len(there))).round().astype(int)
    return [there[n] for n in chosen]


def _film(axis: Axes, image: NDArray[Any]) -> None:
    side = len(image)
    # Pixel edges at whole numbers and y downwards, as in `Frame`: boxes share the axes.
    axis.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, side, side, 0))
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def word_sheet(path: Path) -> Figure | None:
    """Draw where the words of a few reports look; None where there is no valid word.

    Args:
        path: word_maps.npz of a pre-training run: images [n, S, S] uint8, words [n, w] text,
            weights [n, w, rows, columns] and valid [n, w].

    Raises:
        UserError: an array is missing or of a wrong shape.
    """
    with reading(path, "pre-train again"):
        stored = read_arrays(path, MOST_BYTES)
    lacking = {"images", "words", "weights", "valid"} - set(stored)
    if lacking:
        raise UserError(f"{path}: lacks {', '.join(sorted(lacking))}; pre-train again")
    images, words = stored["images"], stored["words"]
    weights, valid = stored["weights"], stored["valid"]
    if images.ndim == 4:
        images = images[:, 0]
    kinds = [array.dtype.kind for array in (images, words, weights, valid)]
    depths = [array.ndim for array in (images, words, weights, valid)]
    shapes = {words.shape, valid.shape, weights.shape[:2], (*images.shape[:1], *words.shape[1:])}
    if kinds != list("uUfb") or depths != [3, 2, 4, 2] or len(shapes) > 1 or not images.size:
        raise UserError(f"{path}: arrays of other shapes or kinds; pre-train again")
    if not weights.size or not np.isfinite(weights[valid]).all():
        raise UserError(f"{path}: weights that are no finite numbers; pre-train again")
    rows = [k for k in range(len(images)) if valid[k].any()][:IMAGES]
    if not rows:
        return None
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(1.9 * (1 + WORDS), 0.3 + 2.15 * len(rows)))
        axes = figure.subplots(len(rows), 1 + WORDS, squeeze=False)
        for line, k in zip(axes, rows, strict=True):
            _film(line[0], images[k])
            picked = _telling(words[k], weights[k], valid[k])
            for axis, index in zip(line[1:], [*picked, *[-1] * (WORDS - len(picked))], strict=True):
                if index < 0:
                    axis.set_axis_off()
                    continue
                _film(axis, images[k])
                side = len(images[k])
                heat = weights[k, index] / max(float(weights[k, index].max()), 1e-9)
                axis.imshow(
                    heat,
                    cmap="inferno",
                    alpha=0.55 * np.clip(heat, 0, 1),
                    extent=(0, side, side, 0),
                    vmin=0,
                    vmax=1,
                    interpolation="bilinear",
                )
                axis.set_title(str(words[k, index]), fontsize=9.5)
        figure.tight_layout(pad=0.4)
    return figure


def _telling(words: NDArray[Any], weights: NDArray[Any], valid: NDArray[Any]) -> list[int]:
    """Return the indices of the words whose maps are most concentrated, each word once."""
    share = weights.reshape(len(words), -1).astype(np.float64)
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    # Sum of squares = 1 / effective number of patches.
    focus = (share**2).sum(axis=1)
    picked: dict[str, int] = {}
    for index in np.argsort(-focus, kind="stable"):
        if valid[index] and len(str(words[index])) > 2 and str(words[index]) not in FILLERS:
            picked.setdefault(str(words[index]), int(index))
    return sorted(list(picked.values())[:WORDS])
