"""Why rows of an ablation differ: geometry, where words point, and retrieval, for each encoder.

Reads the logs and the scores of a finished grid that has retrieval and grounding, on validation:
`python -m benchmarks.ablation.explain --grid benchmarks/ablation.yaml --out FOLDER` writes
`encoders.csv` (a row for each encoder and measure), `variants.csv` (means over seeds, and the
difference to the grid's first baseline on the same seeds with a t interval) and `explain.png`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sista import tables
from sista.files import atomic
from sista.grid.grid import Grid
from sista.grid.runs import PretrainRun
from sista.metrics.intervals import crossed_interval
from sista.report.figures import COLOURS, STYLE, save
from sista.runs.progress import track

# Columns of the last line of a run's log.csv.
LOGGED = (
    "val_eliminated",
    "val_eliminated_normal",
    "val_eliminated_abnormal",
    "val_effective_patches",
    "alignment",
    "uniformity_image",
    "uniformity_report",
    "modality_gap",
    "gradient_ratio",
)
PANELS = {
    "alignment": "alignment (low = close pairs)",
    "uniformity_image": "uniformity of films (low = spread)",
    "uniformity_report": "uniformity of reports (low = spread)",
    "recall_5, all": "R@5, all studies",
    "recall_5, normal": "R@5, normal studies",
    "recall_5, abnormal": "R@5, abnormal studies",
}
KEYS = ["variant", "encoder", "corpus"]


def logged(run: PretrainRun, results: Path) -> Iterator[dict[str, Any]]:
    """Yield the diagnostics of the last epoch."""
    last = pd.read_csv(results / "pretrain" / run.key / "log.csv").iloc[-1]
    for name in LOGGED:
        if name in last and pd.notna(last[name]):
            yield {"measure": name, "value": float(last[name])}


def scored(run: PretrainRun, scores: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield what the grid's tasks without labels measured on validation studies."""
    own = scores["variant"].eq(run.variant) & scores["encoder"].eq(run.encoder)
    rows = scores[own & scores["seed"].eq(run.seed) & scores["subset"].eq("val")]
    for row in rows[rows["fraction"].eq(0)].to_dict("records"):
        yield {"measure": f"{row['metric']}, {row['label']}", "value": row["value"]}


def by_variant(encoders: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return means over seeds and paired differences to a variant on the same seeds.

    Args:
        encoders: columns variant, encoder, corpus, seed, measure, value.
        baseline: the variant that the others are compared with.

    Returns:
        Columns mean, sd, seeds; difference, low, high (95 % t interval over seeds) and p where the
        baseline has the measure too and at least two seeds are shared.
    """
    rows = []
    wide = encoders.pivot_table(index=[*KEYS, "measure"], columns="seed", values="value")
    for (variant, encoder, corpus, measure), values in wide.iterrows():
        known = values.dropna()
        row = {"variant": variant, "encoder": encoder, "corpus": corpus, "measure": measure}
        row |= {"mean": known.mean(), "sd": known.std(), "seeds": len(known)}
        other = (baseline, encoder, corpus, measure)
        if variant != baseline and other in wide.index:
            difference = (values - wide.loc[other]).dropna()
            if len(difference) > 1:
                # Of the same patients: seeds alone vary.
                low, high, p = crossed_interval(
                    difference.to_numpy()[:, None], np.zeros((len(difference), 1, 2))
                )
                row |= {"difference": difference.mean(), "low": low, "high": high, "p": p}
        rows.append(row)
    return pd.DataFrame(rows)


def draw(encoders: pd.DataFrame) -> Figure:
    """Draw the main measures: a panel each; of an encoder a point a seed, a bar the mean."""
    order = list(dict.fromkeys(encoders["variant"]))
    words = list(dict.fromkeys(encoders["encoder"]))
    colours = dict(zip(words, COLOURS, strict=False))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 1.6 + 0.5 * len(order)), layout="constrained")
        for axis, (measure, title) in zip(figure.subplots(2, 3).flat, PANELS.items(), strict=True):
            rows = encoders[encoders["measure"] == measure]
            options = {"data": rows, "x": "value", "y": "variant", "order": order, "ax": axis}
            options |= {"hue": "encoder", "hue_order": words, "palette": colours, "legend": False}
            bars = {"linestyle": "none", "marker": "|", "markersize": 14, "errorbar": None}
            sns.pointplot(**options, **bars, dodge=0.4 if len(words) > 1 else False)
            sns.stripplot(**options, dodge=True, size=4, jitter=False, alpha=0.7)
            axis.set(title=title, xlabel="", ylabel="")
            if axis.get_subplotspec() is not None and not axis.get_subplotspec().is_first_col():
                axis.set_yticklabels([])
        lines = [Line2D([], [], color=colours[w], marker="o", linestyle="", label=w) for w in words]
        figure.legend(handles=lines, loc="outside lower center", ncols=len(words), frameon=False)
    return figure


def main() -> None:
    """Measure every encoder of a grid and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    grid = Grid.load(given.grid)
    scores, _ = tables.read(given.results / "score" / f"{given.grid.stem}.parquet", "scores")
    rows = []
    for run in track(list(grid.pretrain_runs()), "explain"):
        known = {name: getattr(run, name) for name in (*KEYS, "seed")}
        rows += [known | row for row in (*logged(run, given.results), *scored(run, scores))]
    encoders = pd.DataFrame(rows)
    for name, table in (
        ("encoders", encoders),
        ("variants", by_variant(encoders, grid.baselines[0])),
    ):
        with atomic(given.out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.4f")
    save(draw(encoders), given.out / "explain", (".png",))


if __name__ == "__main__":
    main()
