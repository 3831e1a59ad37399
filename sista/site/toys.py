"""Toy figures of the pitfalls, with numbers by the real metrics: Dices, mAPs, leaking splits."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sista.metrics import detection, segmentation
from sista.metrics.classification import auroc
from sista.report.figures import COLOURS, STYLE, save
from sista.tasks._base import find_metric

SIDE = 20
BOXES = ("map_40_75", "map_mgca")


def five_dices() -> dict[str, dict[str, float]]:
    """Return the five Dices of two made-up predictors on 20 films, 6 of them with a lesion."""
    truth = np.zeros((20, SIDE, SIDE), bool)
    for image, side in zip(range(0, 20, 3), (2, 3, 4, 8, 10, 12), strict=False):
        truth[image, 2 : 2 + side, 2 : 2 + side] = True
    found = np.zeros_like(truth)
    # Finds the three large lesions, and a spot on two films without any.
    found[9:, :, :] = truth[9:, :, :]
    found[[1, 2], 15:17, 15:17] = True
    made = {"nothing, ever": np.zeros_like(truth), "large lesions, two false spots": found}
    metrics = [metric for metric in vars(segmentation) if "dice" in metric]
    return {
        name: {
            word: float(getattr(segmentation, word)(segmentation.overlap(predicted, truth)))
            for word in metrics
        }
        for name, predicted in made.items()
    }


def two_maps() -> dict[str, dict[str, float]]:
    """Return two mAPs of made-up detectors on 4 films: one finds all, one misses and invents."""
    box = [10.0, 10.0, 40.0, 40.0]
    truth = [[box], [box], [box], []]
    sure, unsure = [*box, 0.9], [*box, 0.3]
    made = {
        "finds all three": [[sure], [sure], [sure], []],
        "finds one, misses two, a false alarm": [[sure], [], [], [sure]],
        "finds all, two of them unsure": [[sure], [unsure], [unsure], []],
    }
    return {
        name: {
            word: float(getattr(detection, word)(detection.match(predicted, truth)))
            for word in BOXES
        }
        for name, predicted in made.items()
    }


def two_splits() -> dict[str, dict[str, float]]:
    """Return the AUROC of a nearest neighbour on features that say who a patient is, nothing else.

    Each patient has four films and one label by chance, so nothing can be learned of it.
    """
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(200), 4)
    label = generator.integers(0, 2, 200).astype(float)[patients]
    film = generator.normal(size=(200, 16))[patients] + 0.3 * generator.normal(size=(800, 16))
    by_image = generator.permutation(800) < 400
    by_patient = np.isin(patients, generator.permutation(200)[:100])
    splits = {"split by film": by_image, "split by patient": by_patient}
    return {name: {"auroc": _neighbour(film, label, train)} for name, train in splits.items()}


def _neighbour(
    film: NDArray[np.float64], label: NDArray[np.float64], train: NDArray[np.bool_]
) -> float:
    """Return the AUROC of the label of the nearest training film."""
    distance = ((film[~train, None] - film[None, train]) ** 2).sum(2)
    score = label[train][np.argmin(distance, axis=1)]
    return float(auroc(label[~train], score))


def draw(folder: Path) -> Iterator[tuple[str, str]]:
    """Write each figure as SVG and yield its name and its numbers in words."""
    for name, values in (
        ("five_dices", five_dices()),
        ("two_maps", two_maps()),
        ("two_splits", two_splits()),
    ):
        save(_bars(values), folder / name, (".svg",))
        told = [
            f"{what}: " + ", ".join(f"{_title(w)} {100 * v:.0f}" for w, v in of.items())
            for what, of in values.items()
        ]
        yield name, f"Bars, in percent. {'; '.join(told)}."


def _title(metric: str) -> str:
    return find_metric(metric).title


def _bars(values: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw bars: a group for each metric, a bar for each predictor."""
    names, metrics = list(values), list(next(iter(values.values())))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.9 + 0.28 * len(names) * len(metrics)))
        axis = figure.subplots()
        height = 0.8 / len(names)
        for k, name in enumerate(names):
            y = np.arange(len(metrics)) + (k - (len(names) - 1) / 2) * height
            width = [100 * values[name][metric] for metric in metrics]
            bars = axis.barh(y, width, 0.9 * height, color=COLOURS[k], label=name)
            axis.bar_label(bars, fmt="%.0f", padding=3)
        axis.set_yticks(range(len(metrics)), [_title(metric) for metric in metrics])
        axis.set_ylim(len(metrics) - 0.5, -0.5)
        axis.set_xlim(0, 112)
        axis.set_xlabel("in %")
        axis.grid(visible=False, axis="y")
        figure.tight_layout()
        figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0))
    return figure
