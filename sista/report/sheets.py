"""Qualitative sheets: predicted masks and boxes over test images, word-to-patch maps of STA.

A sheet shows films, so it is drawn from the phantom only, unless it is asked for otherwise.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sista import tables
from sista.errors import UserError
from sista.preparation.frame import Frame
from sista.preparation.masks import from_json
from sista.report.figures import STYLE

PREFERRED = ("random_init", "clip", "sista", "supervised")
IMAGES = 4
WORDS = 5
TARGET, PREDICTED = "#56b4e9", "#ff9e2c"
FILLERS = {"the", "and", "with", "for", "are", "was", "there", "has", "have", "been", "this"}
LEAST_SCORE = 0.3
MOST_BOXES = 5
Row = Mapping[Any, Any]


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
        task: segmentation or detection.
        runs: variant and predictions file.
        prepared: folder with manifest.parquet and manifest.images.npy.

    Returns:
        The figure and the label fraction that it shows (10 % where there is one); None where
        no test image has a target.
    """
    read = [tables.read(path, f"predictions_{task}") for _, path in runs]
    tested = [frame[frame["subset"] == "test"] for frame, _ in read]
    common = set.intersection(*({*frame["fraction"]} for frame in tested)) if tested else set()
    if not common:
        return None
    fraction = 10 if 10 in common else int(max(common))
    parts = []
    for frame in tested:
        part = frame[frame["fraction"] == fraction]
        part = part[part["draw"] == part["draw"].min()]
        parts.append(part.drop_duplicates("image_id").set_index("image_id"))
    images = _pick(task, parts[0])
    if not images:
        return None
    found = [part.to_dict("index") for part in parts]
    manifest, _ = tables.read(prepared / "manifest.parquet", "manifest")
    places = manifest.set_index("image_id").loc[images].to_dict("index")
    films = np.load(prepared / "manifest.images.npy", mmap_mode="r")
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(1.9 * (1 + len(runs)), 0.3 + 2.05 * len(images)))
        axes = figure.subplots(len(images), 1 + len(runs), squeeze=False)
        for line, image in zip(axes, images, strict=True):
            place = places[image]
            film = np.asarray(films[int(place["row"])])
            _film(line[0], film)
            for axis, rows, (_, meta) in zip(line[1:], found, read, strict=True):
                _film(axis, film)
                where = Frame.of(place, len(film), zoom=meta.get("zoom", 1.0))
                draw = _draw_masks if task == "segmentation" else _draw_boxes
                draw(axis, rows[image], where)
        for axis, name in zip(axes[0], ["film", *(variant for variant, _ in runs)], strict=True):
            axis.set_title(name)
        figure.tight_layout(pad=0.4)
    return figure, fraction


def _pick(task: str, part: pd.DataFrame) -> list[str]:
    """Return images with a target, from the smallest to the largest, evenly spread."""
    if task == "segmentation":
        sizes = [float(coco_mask.area(json.loads(text))) for text in part["target"]]
    else:
        sizes = [sum(b[2] * b[3] for b in json.loads(text)) for text in part["target"]]
    order = sorted((size, str(image)) for size, image in zip(sizes, part.index, strict=True))
    there = [image for size, image in order if size > 0]
    places = np.linspace(0, len(there) - 1, min(IMAGES, len(there))).round().astype(int)
    return [there[place] for place in places]


def _film(axis: Axes, image: NDArray[Any]) -> None:
    side = len(image)
    axis.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, side, side, 0))
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def _draw_masks(axis: Axes, row: Row, frame: Frame) -> None:
    """Draw the predicted mask filled, the target as an outline, and write the Dice."""
    predicted = from_json(row["prediction"]).astype(bool)
    target = from_json(row["target"]).astype(bool)
    colour = mpl.colors.to_rgb(PREDICTED)
    layer = np.zeros((*predicted.shape, 4))
    layer[predicted] = (*colour, 0.45)
    # The masks cover the network's square, whose side only they know.
    frame = replace(frame, size=len(target))
    low, high = frame.seen
    axis.imshow(layer, extent=(low, high, high, low), interpolation="nearest")
    steps = frame.prepared_steps(np.arange(len(target), dtype=np.float64) + 0.5)
    axis.contour(steps, steps, target.astype(float), levels=[0.5], colors=[TARGET], linewidths=1.6)
    total = predicted.sum() + target.sum()
    _write(axis, f"Dice {100 * 2 * (predicted & target).sum() / total:.0f}")


def _draw_boxes(axis: Axes, row: Row, frame: Frame) -> None:
    """Draw target boxes and the most certain predicted ones, and write the best IoU."""
    target = np.array([box[:4] for box in json.loads(row["target"])], dtype=np.float64)
    found = sorted(json.loads(row["predicted"]), key=lambda box: -float(box[4]))[:MOST_BOXES]
    certain = [box for box in found if box[4] >= LEAST_SCORE] or found[:1]
    for box in target:
        _rectangle(axis, box, frame, TARGET, 1.8, "-")
    for box in certain:
        _rectangle(axis, np.array(box[:4], dtype=np.float64), frame, PREDICTED, 1.4, "--")
    if certain:
        boxes = np.array([b[:4] for b in certain], dtype=np.float64)
        overlaps = coco_mask.iou(boxes, target, [0] * len(target))
        _write(axis, f"IoU {100 * overlaps.max():.0f}, score {certain[0][4]:.2f}")
    else:
        _write(axis, "no box")


def _rectangle(
    axis: Axes,
    box: NDArray[np.float64],
    frame: Frame,
    colour: str,
    width: float,
    line: str,
) -> None:
    """Draw a box given in native pixels."""
    x, y, w, h = frame.prepared_boxes(box)
    axis.add_patch(Rectangle((x, y), w, h, fill=False, ec=colour, lw=width, ls=line))


def _write(axis: Axes, text: str) -> None:
    axis.text(
        0.03,
        0.03,
        text,
        transform=axis.transAxes,
        color="white",
        fontsize=8,
        va="bottom",
        bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.5, "linewidth": 0},
    )


def word_sheet(path: Path) -> Figure | None:
    """Draw where the words of a few reports look; None where there is no valid word.

    Args:
        path: word_maps.npz of a pre-training run: images [n, S, S] uint8, words [n, w] text,
            weights [n, w, rows, columns] and valid [n, w].

    Raises:
        UserError: an array is missing or of a wrong shape.
    """
    with np.load(path, allow_pickle=False) as stored:
        lacking = {"images", "words", "weights", "valid"} - set(stored.files)
        if lacking:
            raise UserError(f"{path}: lacks {', '.join(sorted(lacking))}; pre-train again")
        images, words = stored["images"], stored["words"]
        weights, valid = stored["weights"], stored["valid"]
    if images.ndim == 4:
        images = images[:, 0]
    if words.shape != valid.shape or weights.shape[:2] != words.shape:
        raise UserError(f"{path}: words, weights and valid differ in shape; pre-train again")
    rows = [k for k in range(len(images)) if valid[k].any()][:IMAGES]
    if not rows:
        return None
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(1.9 * (1 + WORDS), 0.3 + 2.15 * len(rows)))
        axes = figure.subplots(len(rows), 1 + WORDS, squeeze=False)
        for line, k in zip(axes, rows, strict=True):
            _film(line[0], images[k])
            picked = _telling(words[k], weights[k], valid[k])
            for axis, place in zip(line[1:], [*picked, *[-1] * (WORDS - len(picked))], strict=True):
                if place < 0:
                    axis.set_axis_off()
                    continue
                _film(axis, images[k])
                side = len(images[k])
                heat = weights[k, place] / max(float(weights[k, place].max()), 1e-9)
                axis.imshow(
                    heat,
                    cmap="inferno",
                    alpha=0.55 * np.clip(heat, 0, 1),
                    extent=(0, side, side, 0),
                    vmin=0,
                    vmax=1,
                    interpolation="bilinear",
                )
                axis.set_title(str(words[k, place]), fontsize=9.5)
        figure.tight_layout(pad=0.4)
    return figure


def _telling(words: NDArray[Any], weights: NDArray[Any], valid: NDArray[Any]) -> list[int]:
    """Return the places of the words whose maps are most concentrated, each word once."""
    share = weights.reshape(len(words), -1).astype(np.float64)
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    # Sum of squares = 1 / effective number of patches.
    focus = (share**2).sum(axis=1)
    picked: dict[str, int] = {}
    for place in np.argsort(-focus, kind="stable"):
        if valid[place] and len(str(words[place])) > 2 and str(words[place]) not in FILLERS:
            picked.setdefault(str(words[place]), int(place))
    return sorted(list(picked.values())[:WORDS])
