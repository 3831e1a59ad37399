"""Figures from the scores: label-efficiency curves and paired differences, as PNG and SVG."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sista.files import atomic
from sista.report.cells import family_title, share_of_labels
from sista.report.panels import Panels
from sista.scoring.main_rows import off_plateau
from sista.tasks._base import find_metric

# Okabe and Ito's colours: told apart with any kind of colour vision. Controls are grey and black.
CONTROLS = {"random_init": "#8a8a8a", "imagenet": "#b59b6a", "supervised": "#1a1a1a"}
GREYS = ("#5c6b7a", "#9a8f9e", "#4d4d4d", "#b3b3b3")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b3294", "#8c510a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# An axis of differences shows at least so many points to both sides.
LEAST = 0.5
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    # A dollar sign in a word starts no formula.
    "text.parse_math": False,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e6ea",
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.dpi": 160,
}


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of a variant, the same in all figures of a report."""

    colour: str
    marker: str
    dash: str | tuple[int, tuple[int, ...]]


def looks(variants: Sequence[str], controls: Collection[str] = ()) -> dict[str, Look]:
    """Return the look of every variant; controls are grey or black with broken lines."""
    controls = {*CONTROLS, *controls}
    free = [name for name in variants if name not in controls]
    colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(free)} | CONTROLS
    others = [name for name in variants if name not in colours]
    colours |= {name: GREYS[k % len(GREYS)] for k, name in enumerate(others)}
    return {
        name: Look(
            colours[name],
            # Colours come round after eight variants; the markers have moved on by one then.
            MARKERS[(k + k // len(COLOURS)) % len(MARKERS)],
            (0, (4, 2)) if name in controls else "-",
        )
        for k, name in enumerate(variants)
    }


def save(
    figure: Figure, path: Path, suffixes: Sequence[str] = (".png", ".svg"), dpi: float | None = None
) -> None:
    """Write a figure as `path` + each suffix, without the date in it; `dpi`: of pictures."""
    for suffix in suffixes:
        with atomic(path.with_name(path.name + suffix)) as temporary:
            metadata: dict[str, Any] = {"Date": None} if suffix == ".svg" else {}
            # Without a salt matplotlib names the parts of an SVG at random.
            with mpl.rc_context({**STYLE, "svg.hashsalt": "sista"}):
                figure.savefig(temporary, bbox_inches="tight", metadata=metadata, dpi=dpi)


def _dagger(axis: Axes, x: Any, y: Any, colour: str, above: bool = False) -> None:
    """Mark the ends of intervals, where no other point hides it; captions say what it means."""
    text: dict[str, Any] = {"ha": "left", "va": "center"}
    if above:
        text = {"ha": "center", "va": "bottom"}
    text |= {"textcoords": "offset points", "color": colour, "fontsize": 12, "weight": "bold"}
    for place in zip(x, y, strict=True):
        axis.annotate("†", place, (0, 2) if above else (3, 0), **text)


def efficiency(rows: pd.DataFrame, styles: Mapping[str, Look]) -> Figure:
    """Draw metric against share of labels: a panel per data set, head (down), encoder (across).

    Args:
        rows: overall test rows of one task's main metric. Points are means over draws and seeds,
            bars the means of the 95 % bootstrap intervals over patients.
        styles: look of each variant.
    """
    panels = Panels.of(rows)
    lines, encoders = panels.lines, panels.encoders
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.6 + 3.9 * len(encoders), 0.7 + 2.9 * len(lines)))
        axes = figure.subplots(len(lines), len(encoders), squeeze=False, sharey="row")
        for across, line in zip(axes, lines, strict=True):
            for axis, encoder in zip(across, encoders, strict=True):
                part = panels.part(line, encoder)
                # Not every encoder has every head.
                axis.set_visible(len(part) > 0)
                _curves(axis, part, styles)
                family = family_title(str(part["family"].iloc[0]), encoder) if len(part) else ""
                axis.set_title(panels.title(line, f"{family} ({encoder})"))
            across[0].set_ylabel(f"{_short(line.metric)} in %")
        for axis in axes[-1]:
            axis.set_xlabel("training labels in %")
        _legend(figure, axes[0][0])
    return figure


def untrained(rows: pd.DataFrame, controls: pd.DataFrame, styles: Mapping[str, Look]) -> Figure:
    """Draw what was measured without labels: a point with its interval for each variant.

    Args:
        rows: overall test rows of the tested metrics at fraction 0.
        controls: overall test rows of their controls; grey marks.
        styles: look of each variant.
    """
    panels = Panels.of(rows)
    names = [name for name in styles if name in set(rows["variant"])]
    height = 0.9 + len(panels.lines) * (0.9 + 0.34 * len(names))
    with mpl.rc_context({**STYLE, "axes.spines.left": False}):
        figure = Figure(figsize=(0.6 + 3.9 * len(panels.encoders), height))
        shape = (len(panels.lines), len(panels.encoders))
        axes = figure.subplots(*shape, squeeze=False, sharey=True, sharex="row")
        for across, line in zip(axes, panels.lines, strict=True):
            for axis, encoder in zip(across, panels.encoders, strict=True):
                own = panels.part(line, encoder)
                # A line of panels is of one metric: beside it stand its own controls alone.
                wanted = find_metric(line.metric).controls
                beside = controls[controls["predictions"].isin(own["predictions"])]
                beside = beside[beside["metric"].isin(wanted)]
                _points(axis, own, beside, names, styles)
                axis.set_title(panels.title(line, encoder))
                axis.set_xlabel(f"{_short(line.metric)} in %")
        _legend(figure, axes[0][0])
    return figure


def _points(
    axis: Axes,
    rows: pd.DataFrame,
    controls: pd.DataFrame,
    names: Sequence[str],
    styles: Mapping[str, Look],
) -> None:
    """Draw one panel: variants from above, the controls of each on its line."""
    for y, name in enumerate(names):
        mean = 100 * rows[rows["variant"] == name][["value", "low", "high"]].mean()
        axis.hlines(y, mean["low"], mean["high"], color=styles[name].colour, linewidth=1.6)
        look = styles[name]
        axis.scatter([mean["value"]], [y], color=look.colour, marker=look.marker, s=40, zorder=3)
        if off_plateau(rows[rows["variant"] == name]).any():
            _dagger(axis, [mean["high"]], [y], look.colour)
    for marker, (metric, part) in zip(
        ("|", "x", "+", "1"), controls.groupby("metric", sort=False), strict=False
    ):
        values = 100 * part.groupby("variant", sort=False)["value"].mean()
        heights = [names.index(str(variant)) for variant in values.index]
        # "R@5, other film": the legend stands for all panels.
        title = find_metric(str(metric)).title.rpartition(", ")[2]
        axis.scatter(values, heights, color="#555555", marker=marker, s=60, zorder=2, label=title)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")


def _short(metric: str) -> str:
    """Return a metric's title without what stands in brackets."""
    return find_metric(metric).title.partition(" (")[0]


def _curves(axis: Axes, rows: pd.DataFrame, styles: Mapping[str, Look]) -> None:
    """Draw the curves of one panel."""
    # Costs a second to import, and help and errors draw nothing.
    import seaborn as sns

    fractions = sorted(int(f) for f in rows["fraction"].unique())
    names = [name for name in styles if name in set(rows["variant"])]
    for position, name in enumerate(names):
        own = rows[rows["variant"] == name].groupby("fraction")[["value", "low", "high"]].mean()
        own = (100 * own).dropna(subset=["value"])
        # Side by side, so that the intervals of several methods can be read, but within their tick.
        shift = min(0.045, 0.6 / len(names)) * (position - (len(names) - 1) / 2)
        x = np.array([fractions.index(int(str(f))) for f in own.index]) + shift
        look = styles[name]
        sns.lineplot(
            x=x,
            y=own["value"].to_numpy(),
            ax=axis,
            color=look.colour,
            marker=look.marker,
            linestyle=look.dash,
            linewidth=1.8,
            markersize=6,
            label=name,
            legend=False,
        )
        axis.vlines(x, own["low"], own["high"], color=look.colour, linewidth=1.2, alpha=0.75)
        if off_plateau(rows[rows["variant"] == name]).any():
            _dagger(axis, x, own["high"].fillna(own["value"]), look.colour, above=True)
    axis.set_xticks(range(len(fractions)), [str(f) for f in fractions])
    axis.set_xlim(-0.35, len(fractions) - 0.65)
    axis.grid(visible=False, axis="x")


def _legend(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.tight_layout()
    figure.legend(
        handles, labels, loc="upper center", ncols=min(len(labels), 6), bbox_to_anchor=(0.5, 0.0)
    )


def differences(rows: pd.DataFrame, styles: Mapping[str, Look], baseline: str) -> Figure:
    """Draw paired differences to a baseline: a panel per data set (down) and encoder (across).

    Args:
        rows: comparisons of one task with `baseline`; bars are 95 % bootstrap intervals, filled
            markers have a corrected p below 0.05, rows of `off_plateau` a dagger.
        styles: look of each variant.
        baseline: the variant that zero stands for.
    """
    panels = Panels.of(rows)
    lines, encoders = panels.lines, panels.encoders
    names = [name for name in styles if name in set(rows["variant"])]
    fractions = sorted(int(f) for f in rows["fraction"].unique())
    height = 0.9 + len(lines) * (0.9 + 0.17 * len(names) * len(fractions))
    with mpl.rc_context({**STYLE, "axes.spines.left": False}):
        figure = Figure(figsize=(0.6 + 3.9 * len(encoders), height))
        axes = figure.subplots(len(lines), len(encoders), squeeze=False, sharey=True, sharex="row")
        for across, line in zip(axes, lines, strict=True):
            for axis, encoder in zip(across, encoders, strict=True):
                _intervals(axis, panels.part(line, encoder), names, styles, fractions)
                axis.set_title(panels.title(line, encoder))
                axis.set_xlabel(f"{_short(line.metric)} minus {baseline}, in % points")
            across[0].set_ylabel("training labels")
        _legend(figure, axes[0][0])
    return figure


def _intervals(
    axis: Axes,
    rows: pd.DataFrame,
    names: Sequence[str],
    styles: Mapping[str, Look],
    fractions: Sequence[int],
) -> None:
    """Draw the intervals of one panel, fractions from above, variants side by side."""
    axis.axvline(0, color="#444444", linewidth=1)
    step = 0.8 / max(len(names), 1)
    for position, name in enumerate(names):
        look = styles[name]
        own = rows[rows["variant"] == name]
        y = [
            fractions.index(int(f)) + step * (position - (len(names) - 1) / 2)
            for f in own["fraction"]
        ]
        axis.hlines(y, 100 * own["low"], 100 * own["high"], color=look.colour, linewidth=1.6)
        sure = own["p_holm"] < 0.05
        faces = [look.colour if s else "white" for s in sure]
        axis.scatter(
            100 * own["difference"],
            y,
            c=faces,
            edgecolors=look.colour,
            marker=look.marker,
            s=34,
            zorder=3,
        )
        late = own["off_plateau"].to_numpy(bool)
        _dagger(axis, 100 * own["high"][late], np.array(y)[late], look.colour)
        axis.scatter([], [], color=look.colour, marker=look.marker, s=34, label=name)
    # Equal rows differ by rounding alone, which is no scale.
    low, high = axis.get_xlim()
    axis.set_xlim(min(low, -LEAST), max(high, LEAST))
    axis.set_yticks(range(len(fractions)), [share_of_labels(f) for f in fractions])
    axis.set_ylim(len(fractions) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
