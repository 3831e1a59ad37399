"""Mean ranks of the methods of a grid over its blocks, with critical differences."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
import scipy
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sista.report.figures import STYLE
from sista.scoring.main_rows import off_plateau
from sista.tasks._base import find_metric

if TYPE_CHECKING:
    from sista.report.figures import Look

BLOCK = ["protocol", "dataset", "head", "metric", "fraction", "encoder", "corpus"]
LEAST_METHODS, LEAST_BLOCKS, LEAST_SEEDS = 3, 5, 2
LEVEL = 0.05


@dataclass(frozen=True)
class Ranking:
    """Mean ranks, 1 = best, and which of them differ.

    Attributes:
        ranks: mean rank by variant, the best first.
        p: Nemenyi's p of each pair, `[M, M]` in the order of `ranks`.
        friedman: p that all methods are alike.
        difference: critical difference of two mean ranks at 5 %.
        blocks: their number.
        seeds: least and most pre-training seeds behind a value.
        left_out: variants without a rank, and why.
    """

    ranks: pd.Series
    p: pd.DataFrame
    friedman: float
    difference: float
    blocks: int
    seeds: tuple[int, int]
    left_out: Mapping[str, str]

    @property
    def caption(self) -> str:
        """What the figure shows, and what it does not."""
        least, most = self.seeds
        seeds = str(least) if least == most else f"{least} to {most}"
        out = "; ".join(f"{name} ({why})" for name, why in self.left_out.items())
        others = f" Not ranked: {out}." if out else ""
        return (
            f"Mean rank over {self.blocks} blocks (data set, head, share of labels, encoder), each "
            f"the mean over draws and {seeds} seeds; 1 = best. Methods that a bar joins are not "
            f"told apart (Friedman p = {self.friedman:.2g}, then Nemenyi at 5 %; CD = critical "
            f"difference {self.difference:.2f}). Blocks share encoders and films, so they are not "
            f"independent and p is too small: a summary, no test.{others}"
        )

    def table(self) -> pd.DataFrame:
        """Return mean ranks and the p of all pairs, a row for each variant."""
        table = pd.DataFrame({"variant": self.ranks.index, "mean_rank": self.ranks.to_numpy()})
        table["blocks"] = self.blocks
        table["friedman_p"] = self.friedman
        table["critical_difference"] = self.difference
        pairs = self.p.add_prefix("p_").reset_index(drop=True)
        return pd.concat([table, pairs], axis=1)


def ranking(rows: pd.DataFrame, controls: Collection[str]) -> Ranking | str:
    """Rank the methods of a grid, or say why they cannot be ranked.

    A block counts where every method has a value of at least two seeds.

    Args:
        rows: overall test rows of the main metrics.
        controls: variants that compete with no other row.
    """
    left_out = {name: "control" for name in map(str, rows["variant"].unique()) if name in controls}
    stuck = rows[off_plateau(rows) & ~rows["variant"].isin(controls)]
    late = "pre-training left its plateau late or never"
    left_out |= {str(name): late for name in stuck["variant"].unique()}
    known = rows[~rows["variant"].isin(left_out) & rows["value"].notna()]
    methods = list(map(str, dict.fromkeys(known["variant"])))
    if len(methods) < LEAST_METHODS:
        named = ", ".join(methods) or "none"
        return (
            f"No ranks: {len(methods)} methods compete ({named}), at least {LEAST_METHODS} are "
            "needed. Controls do not compete, nor do methods that left their plateau late or never."
        )
    cells = known.groupby([*BLOCK, "variant"])
    means, seeds = (part.unstack("variant") for part in (cells["value"].mean(), _seeds(cells)))
    whole = (seeds >= LEAST_SEEDS).all(axis=1)
    if whole.sum() < LEAST_BLOCKS:
        return (
            f"No ranks: {int(whole.sum())} of {len(whole)} blocks (data set, head, share of "
            f"labels, encoder) have every method with at least {LEAST_SEEDS} pre-training seeds; "
            f"at least {LEAST_BLOCKS} are needed."
        )
    counts = seeds[whole].to_numpy()
    spread = int(counts.min()), int(counts.max())
    return _ranked(means.loc[whole, methods], spread, left_out)


def _seeds(cells: "pd.api.typing.DataFrameGroupBy") -> pd.Series:  # type: ignore[type-arg]
    return cells["seed"].nunique()


def _ranked(means: pd.DataFrame, seeds: tuple[int, int], left_out: Mapping[str, str]) -> Ranking:
    """Rank the methods, columns of a table with a row for each block."""
    # Costs a second to import, and most grids have no ranks.
    from scikit_posthocs import posthoc_nemenyi_friedman

    lower = [find_metric(str(m)).lower_is_better for m in means.index.get_level_values("metric")]
    signs = np.where(lower, 1.0, -1.0)
    # As printed: what reads the same shares a rank.
    costs = (means.round(3).mul(signs, axis=0)).reset_index(drop=True)
    costs.columns = pd.Index(list(map(str, means.columns)))
    ranks = costs.rank(axis=1).mean().sort_values(kind="stable")
    blocks, methods = costs.shape
    friedman = float(scipy.stats.friedmanchisquare(*costs.to_numpy().T).pvalue)
    p = posthoc_nemenyi_friedman(costs).loc[ranks.index, ranks.index]
    # Demšar (2006): q of Nemenyi is that of the studentised range over the root of 2.
    q = float(scipy.stats.studentized_range.ppf(1 - LEVEL, methods, np.inf)) / np.sqrt(2)
    difference = q * float(np.sqrt(methods * (methods + 1) / (6 * blocks)))
    return Ranking(ranks, p, friedman, difference, blocks, seeds, left_out)


def rank_figure(found: Ranking, styles: "Mapping[str, Look]") -> Figure:
    """Draw the mean ranks; bars join methods that are not told apart (Demšar 2006)."""
    from scikit_posthocs import critical_difference_diagram

    # Pairs are looked at only where Friedman's test finds that not all methods are alike.
    alike = pd.DataFrame(1.0, index=found.p.index, columns=found.p.columns)
    p = found.p if found.friedman < LEVEL else alike
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        height = 1.5 + 0.24 * len(found.ranks)
        figure = Figure(figsize=(8.0, height), layout="constrained")
        axis = figure.subplots()
        critical_difference_diagram(
            found.ranks,
            p,
            alpha=LEVEL,
            ax=axis,
            label_fmt_left="{label} ({rank:.2f}) ",
            label_fmt_right=" ({rank:.2f}) {label}",
            color_palette={name: styles[name].colour for name in found.ranks.index},
            text_h_margin=0.08,
            crossbar_props={"color": "#444444", "linewidth": 2.5},
        )
        # Above the numbers of the axis, where the library would draw it over them.
        start = float(found.ranks.iloc[0])
        axis.plot([start, start + found.difference], [2, 2], color="#444444", linewidth=2.5)
        axis.text(start, 2.3, f"CD = {found.difference:.2f}", va="bottom")
        axis.set_title("mean rank, 1 = best", loc="right")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
