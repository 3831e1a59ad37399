"""Learning curves of a grid, and whether each run left its starting plateau in time.

`python -m benchmarks.regime.curves --grid benchmarks/methods.yaml --out FOLDER` writes
curves.csv (a line for each epoch of each run), plateau.csv (a line for each variant and encoder)
and curves.png. A grid may be half finished. `pair_auroc` and its limit are those of the check in
`sista.engine.health`; where the loss contrasts over the batch, its chance value is ln B.
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sista.engine.health import LATEST, TOLD_APART, left_at, plateau
from sista.files import atomic
from sista.grid.budgets import find_budget
from sista.grid.grid import Grid
from sista.grid.runs import PretrainRun

# What of the loss contrasts whole images with whole reports or views, by its own logged name.
PARTS = ("val_sia", "val_global", "val_ita", "val_loss")
# Of these no part is a cross-entropy over the batch, whose chance value would be ln B.
OTHER_SCALE = frozenset("siglip sparc fane mflag pixpro supervised medclip sat simclr ifnd".split())
BELOW = 0.25
COLOURS = {"resnet": "#0072b2", "vit": "#d55e00"}


def logs(grid: Grid, results: Path) -> Iterator[tuple[PretrainRun, pd.DataFrame]]:
    """Yield the runs that are finished, with their logs."""
    for run in grid.pretrain_runs():
        place = results / "pretrain" / run.budget / run.variant / run.encoder / run.corpus
        path = place / f"seed{run.seed}" / "log.csv"
        # Of what is not trained it is empty.
        if path.is_file() and path.read_text().strip():
            yield run, pd.read_csv(path)


def curves(grid: Grid, results: Path) -> pd.DataFrame:
    """Return a line for each epoch: loss of the instances, and pairs told apart, on validation."""
    lines: list[pd.DataFrame] = []
    for run, log in logs(grid, results):
        part = next(name for name in PARTS if name in log)
        shown = pd.DataFrame({"epoch": log["epoch"].astype(int), "val_loss": log["val_loss"]})
        shown["val_instances"] = math.nan if run.method in OTHER_SCALE else log[part]
        shown["pair_auroc"] = log.get("pair_auroc", pd.Series(math.nan, log.index))
        names = ("variant", "method", "encoder", "family", "budget", "seed")
        lines.append(shown.assign(**{name: getattr(run, name) for name in names}))
    return pd.concat(lines, ignore_index=True)


def of_run(rows: pd.DataFrame) -> dict[str, Any]:
    """Return what the check says of a run, and its state at 40 % of the budget."""
    budget = find_budget(str(rows["budget"].iloc[0]))
    told = plateau([{"pair_auroc": v} for v in rows["pair_auroc"]], budget.epochs)
    chance = math.log(budget.batch)
    below = left_at(rows["val_instances"].tolist(), lambda v: v < chance - BELOW, budget.epochs)
    then = rows[rows["epoch"] <= LATEST * budget.epochs].iloc[-1]
    loss = {"left_ln_b": below, "loss_then": then["val_instances"], "ln_b": chance}
    if rows["val_instances"].isna().all():
        loss = dict.fromkeys(loss, math.nan)
    return {
        "check": told.word or "no pairs",
        "left": told.share,
        "pairs_then": then["pair_auroc"],
        "pairs_end": rows["pair_auroc"].iloc[-1],
        **loss,
    }


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Return a line for each variant and encoder: the worst of its seeds.

    Columns: `left`, the largest share of the budget after which the check calls a seed off its
    plateau; `left_ln_b`, the same by the loss (0.25 below ln B for good); both empty = never;
    `*_then`, at 40 % of the budget.
    """
    lines = []
    for (encoder, variant), rows in found.groupby(["encoder", "variant"], sort=False):  # type: ignore[misc]
        runs = pd.DataFrame([of_run(own) for _, own in rows.groupby("seed")])
        worst: dict[str, Any] = {
            name: runs[name].max(skipna=False) for name in ("left", "left_ln_b", "loss_then")
        }
        worst |= {name: runs[name].min() for name in ("pairs_then", "pairs_end")}
        words = " ".join(f"{n} {w}" for w, n in runs["check"].value_counts().items())
        head = {"variant": variant, "encoder": encoder, "seeds": len(runs), "check": words}
        lines.append(head | worst | {"ln_b": runs["ln_b"].iloc[0]})
    return pd.DataFrame(lines)


def figure(found: pd.DataFrame) -> Figure:
    """Return a panel for each variant: pairs told apart after each share of the budget."""
    variants = list(dict.fromkeys(found["variant"]))
    columns = 5
    drawn = Figure((11, 2.1 * math.ceil(len(variants) / columns)), layout="constrained")
    axes = np.atleast_2d(
        drawn.subplots(math.ceil(len(variants) / columns), columns, sharex=True, sharey=True)
    )
    for axis, variant in zip(axes.flat, variants, strict=False):
        own = found[found["variant"] == variant]
        for (family, _, _), run in own.groupby(["family", "encoder", "seed"]):  # type: ignore[misc]
            share = run["epoch"] / find_budget(str(run["budget"].iloc[0])).epochs
            axis.plot(100 * share, run["pair_auroc"], color=COLOURS[str(family)], linewidth=1)
        axis.axhline(TOLD_APART, color="#888888", linewidth=0.6, linestyle=":")
        axis.axvline(100 * LATEST, color="#888888", linewidth=0.6, linestyle=":")
        axis.set_title(variant, fontsize=9)
    for axis in axes.flat[len(variants) :]:
        axis.set_visible(False)
    for family, colour in COLOURS.items():
        axes.flat[0].plot([], [], color=colour, label=family)
    axes.flat[0].legend(fontsize=8, frameon=False)
    drawn.supxlabel("% of the budget")
    drawn.supylabel("own pairs that win their comparison")
    return drawn


def main() -> None:
    """Write curves, table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = curves(Grid.load(given.grid), given.results)
    told = summary(found)
    for name, frame in (("curves.csv", found), ("plateau.csv", told)):
        with atomic(given.out / name) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.4g")
    with atomic(given.out / "curves.png") as temporary:
        figure(found).savefig(temporary, dpi=120, format="png")
    print(told.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
