"""Figures of report similarity: distributions of r, and precision against recall of the cuts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sista.files import atomic

BINS = 50
COLOURS = {"same": "#1f77b4", "different": "#d62728"}


def draw_distributions(
    found: Mapping[tuple[str, str], NDArray[np.float32]],
    same: NDArray[np.bool_],
    rows: Mapping[str, NDArray[np.bool_]],
    out: Path,
    thetas: Mapping[tuple[str, str], float] | None = None,
) -> None:
    """Draw r of same and different pairs, a row for each encoder and a column for each kind of row.

    Args:
        found: (encoder, text) -> `[N, N]` similarities.
        same: `[N, N]` pairs that say the same.
        rows: kind of row -> `[N]`.
        out: PNG to write.
        thetas: cuts to mark.
    """
    figure = Figure(figsize=(4.2 * len(rows), 1.5 * len(found) + 0.6), layout="constrained")
    axes = figure.subplots(len(found), len(rows), squeeze=False, sharex="col")
    for line, ((encoder, text), r) in zip(axes, found.items(), strict=True):
        for axis, (kind, chosen) in zip(line, rows.items(), strict=True):
            off = ~np.eye(len(r), dtype=bool)[chosen]
            for name, pairs in (("same", same[chosen]), ("different", ~same[chosen])):
                values = r[chosen][pairs & off]
                weights = np.full(len(values), 1 / max(len(values), 1))
                axis.hist(
                    values, BINS, (-0.2, 1), weights=weights, alpha=0.55, label=name,
                    color=COLOURS[name],
                )  # fmt: skip
            if thetas and (encoder, text) in thetas:
                axis.axvline(thetas[encoder, text], color="black", linestyle="--", linewidth=1)
            axis.set_title(f"{encoder}, {text}, {kind} rows", fontsize=8)
            axis.set_yscale("log")
            axis.tick_params(labelsize=7)
    axes[0][0].legend(fontsize=7)
    figure.supxlabel("similarity r of two reports", fontsize=8)
    figure.supylabel("share of the pairs", fontsize=8)
    _save(figure, out)


def draw_trade_off(scores: pd.DataFrame, out: Path) -> None:
    """Draw precision against recall of the absolute cuts, one line an encoder.

    Args:
        scores: rows of one half with encoder, text, cut, setting, rows, precision and recall.
        out: PNG to write.
    """
    shown = scores[scores["cut"].eq("theta") & scores["pairs"].gt(0)]
    kinds = list(dict.fromkeys(shown["rows"]))
    figure = Figure(figsize=(4.6 * len(kinds), 3.8), layout="constrained")
    axes = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        part = shown[shown["rows"].eq(kind)]
        for (encoder, text), line in part.groupby(["encoder", "text"], sort=False):
            style = "--" if text == "raw" else "-"
            axis.plot(
                line["recall"], line["precision"], style, marker="o", markersize=3,
                label=f"{encoder}, {text}",
            )  # fmt: skip
        axis.set(xlabel="recall", ylabel="precision", title=f"{kind} rows", xlim=(0, 1.02))
        axis.set_ylim(0, 1.02)
    axes[-1].legend(fontsize=7)
    _save(figure, out)


def draw_corpus(table: pd.DataFrame, theta: float, title: str, out: Path) -> None:
    """Draw the similarities in normal and abnormal rows of a corpus, the cut and its shares.

    Args:
        table: rows, what (`pairs` or `eliminated`), from, to, share.
        theta: the cut.
        title: of the figure.
        out: PNG to write.
    """
    kinds = list(dict.fromkeys(table["rows"]))
    figure = Figure(figsize=(4.2 * len(kinds), 3.2), layout="constrained")
    for axis, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        part = table[table["rows"].eq(kind)]
        pairs = part[part["what"].eq("pairs")]
        edges = np.append(pairs["from"].to_numpy(), pairs["to"].to_numpy()[-1])
        axis.stairs(pairs["share"].to_numpy(), edges, fill=True, color=COLOURS["same"])
        axis.axvline(theta, color="black", linestyle="--", linewidth=1)
        share = float(part.loc[part["what"].eq("eliminated"), "share"].iloc[0])
        axis.set_title(f"{kind} rows: {share:.1%} left out above {theta:.3f}", fontsize=9)
        axis.set(yscale="log", xlabel="similarity r of two reports", ylabel="share of the pairs")
    figure.suptitle(title, fontsize=9)
    _save(figure, out)


def _save(figure: Figure, out: Path) -> None:
    with atomic(out) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": None})
