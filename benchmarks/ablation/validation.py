"""What the variants of a grid score on validation: how a choice is made without a test row.

`python -m benchmarks.ablation.validation --grid benchmarks/default.yaml --out FILE.csv` evaluates
the validation rows of all predictions that are there (a grid may be half finished): a line for each
variant, encoder, metric and label fraction, with the difference to the grid's first baseline.
`hit_words_gap` is what words hit more often on the own film than on other films; its difference is
that to 0.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sista import registry, tables
from sista.files import atomic
from sista.grid.grid import Grid
from sista.grid.runs import AdaptRun
from sista.metrics.intervals import crossed_interval
from sista.metrics.values import OVERALL
from sista.runs.progress import track
from sista.scoring.evaluate import evaluate
from sista.stages.score import predictions_path
from sista.tasks._base import find_task

# Value by (seed, draw).
Cells = dict[tuple[int, int], float]
Key = tuple[str, ...]
# Beside the main metric of each task and its controls.
GAP = "hit_words_gap"
ALSO = ("hit_words", "hit_words_other_film", "hit_words_chance", "recall_5")


def validated(run: AdaptRun, results: Path) -> Iterator[tuple[str, int, int, float]]:
    """Yield metric, fraction, draw and value on the validation images of a run."""
    kinds = f"predictions_{run.task}"
    frame, meta = tables.read(predictions_path(run, results), kinds)
    labels = list(meta.get("labels") or [])
    multiclass = bool(meta.get("multiclass", False))
    task = find_task(run.task)
    rules = registry.find("protocols", run.protocol)
    main = task.main_metric(rules.main_metric(run.task) or task.metrics[0].word, multiclass)
    wanted = {main, *ALSO}
    options: dict[str, Any] = {"labels": labels, "multiclass": multiclass, "bootstrap": 0}
    val = frame[frame["subset"] == "val"]
    for (fraction, draw), part in val.groupby(["fraction", "draw"]):
        cell = int(str(fraction)), int(str(draw))
        found: dict[str, float] = {}
        for item in evaluate(run.task, part, dataset=run.dataset, fraction=cell[0], **options):
            if item.metric in wanted and item.label in OVERALL:
                found[item.metric] = float(item.value)
        if "hit_words" in found:
            found[GAP] = found["hit_words"] - found["hit_words_other_film"]
        for metric, value in found.items():
            yield metric, *cell, value


def table(grid: Grid, results: Path) -> pd.DataFrame:
    """Return means over seeds and draws, and differences to the first baseline.

    Intervals are of other seeds and draws (`crossed_interval`); the validation patients are the
    same for all and count as fixed.
    """
    found: dict[Key, dict[str, Cells]] = defaultdict(lambda: defaultdict(dict))
    runs = [run for run in grid.adapt_runs() if predictions_path(run, results).is_file()]
    for run in track(runs, "validation"):
        for metric, fraction, draw, value in validated(run, results):
            key = (run.encoder, run.dataset, run.head, metric, str(fraction))
            found[key][run.variant][run.seed, draw] = value
    names = ("encoder", "dataset", "head", "metric", "fraction")
    base = next(word for word in grid.baselines if word in grid.variants)
    rows = []
    for key, variants in found.items():
        for variant, cells in variants.items():
            row = dict(zip(names, key, strict=True)) | {"variant": variant}
            row |= {"mean": 100 * np.mean(list(cells.values())), "runs": len(cells)}
            other = variants.get(base, {}) if variant != base else {}
            if row["metric"] == GAP:
                other = dict.fromkeys(cells, 0.0)
            rows.append(row | _difference(cells, other))
    return pd.DataFrame(rows)


def _difference(cells: Cells, base: Cells) -> dict[str, float]:
    """Return difference, interval and p in points, where seeds and draws are whole."""
    shared = sorted(set(cells) & set(base))
    seeds, draws = (sorted({cell[n] for cell in shared}) for n in (0, 1))
    if not shared or len(shared) < len(seeds) * len(draws):
        return {}
    points = np.array([[cells[s, d] - base[s, d] for d in draws] for s in seeds])
    low, high, p = crossed_interval(100 * points, np.zeros((*points.shape, 2)))
    one = len(seeds) == 1
    spread = {} if one else {"low": low, "high": high, "p": p}
    return {"difference": float(100 * points.mean()), "seeds": len(seeds), **spread}


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = table(Grid.load(given.grid), given.results)
    with atomic(given.out) as temporary:
        found.to_csv(temporary, index=False, float_format="%.3f")
    wide = found.pivot_table(
        index="variant", columns=["encoder", "metric", "fraction"], values="mean", sort=False
    )
    print(wide.round(1).to_string())


if __name__ == "__main__":
    main()
