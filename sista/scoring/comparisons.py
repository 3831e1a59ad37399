"""Paired bootstrap tests of each variant against the baselines of a grid."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sista.grid.grid import AdaptRun
from sista.metrics.intervals import holm, paired_bootstrap_p, percentile_interval, seeds_interval
from sista.scoring.cached import FileScores
from sista.scoring.evaluate import OVERALL


def comparisons(
    scored: Iterable[tuple[AdaptRun, FileScores]], baselines: Sequence[str]
) -> list[dict[str, Any]]:
    """Return paired bootstrap tests of each variant against the baselines.

    The main metric of both is computed on the same samples of test patients. Draws that both have
    are averaged. With several pre-training seeds, intervals and p cover other seeds too
    (`seeds_interval`). p values are Holm-corrected within one baseline, data set, head and encoder.
    """
    groups: dict[tuple[Any, ...], dict[str, dict[tuple[int, ...], Any]]] = {}
    for run, scores in scored:
        point = {
            (v["fraction"], v["draw"]): v["value"]
            for v in scores.values
            if v["subset"] == "test" and v["metric"] == scores.main and v["label"] in OVERALL
        }
        place = (run.protocol, run.dataset, run.task, run.head, run.encoder, run.corpus)
        of_variant = groups.setdefault((*place, run.budget, scores.main, scores.images), {})
        cells = of_variant.setdefault(run.variant, {})
        for (fraction, draw), replicates in scores.replicates.items():
            if fraction in run.fractions and draw in run.draws:
                cells[fraction, draw, run.seed] = (point[fraction, draw], replicates)
    found = []
    for place, of_variant in groups.items():
        for baseline in baselines:
            if baseline in of_variant:
                found += _against(baseline, of_variant, place)
    return found


def _against(
    baseline: str, of_variant: dict[str, dict[tuple[int, ...], Any]], place: tuple[Any, ...]
) -> list[dict[str, Any]]:
    """Return the tests of all variants of one data set, head and encoder against a baseline."""
    names = ("protocol", "dataset", "task", "head", "encoder", "corpus", "budget", "metric")
    found = []
    for variant, cells in of_variant.items():
        for fraction in sorted({cell[0] for cell in cells}):
            shared = sorted(c for c in cells if c[0] == fraction and c in of_variant[baseline])
            if variant == baseline or not shared:
                continue
            base = of_variant[baseline]
            points = _by_seed({c: cells[c][0] - base[c][0] for c in shared})
            replicates = _by_seed({c: cells[c][1] - base[c][1] for c in shared})
            if len(points) > 1:
                low, high, p = seeds_interval(points, replicates)
            else:
                low, high = percentile_interval(replicates[0])
                p = paired_bootstrap_p(replicates[0])
            found.append(
                dict(zip(names, place, strict=False))
                | {"fraction": fraction, "variant": variant, "baseline": baseline}
                | {"difference": float(np.mean(points)), "low": low, "high": high}
                | {"p": p, "runs": len(shared), "seeds": len(points)}
            )
    for row, p in zip(found, holm([row["p"] for row in found]), strict=True):
        row["p_holm"] = float(p)
    return found


def _by_seed(differences: dict[tuple[int, ...], Any]) -> list[Any]:
    """Return the mean over draws for each seed; keys are (fraction, draw, seed)."""
    seeds = sorted({cell[-1] for cell in differences})
    return [
        np.mean([d for cell, d in differences.items() if cell[-1] == seed], axis=0)
        for seed in seeds
    ]
