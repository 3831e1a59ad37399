"""Paired bootstrap tests: each variant against the baselines of a grid and against its controls."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sista.grid.runs import AdaptRun
from sista.metrics.intervals import crossed_interval, half_width, holm, mean_squares
from sista.metrics.power import Components, components
from sista.metrics.values import OVERALL, Floats
from sista.scoring.cached import FileScores
from sista.tasks._base import find_metric, find_task

# Value and replicates [B] by (fraction, draw, seed).
Replicated = dict[tuple[int, int, int], tuple[float, Floats]]
# Value and standard deviation over patients by (seed, draw).
Cells = dict[tuple[int, int], tuple[float, float]]
GROUP = ("protocol", "dataset", "task", "head", "encoder", "corpus", "metric")


def comparisons(
    scored: Iterable[tuple[AdaptRun, FileScores]], baselines: Sequence[str]
) -> list[dict[str, Any]]:
    """Return paired bootstrap tests of each variant against the baselines and its own controls.

    The main metric of both is computed on the same samples of test patients, for the seeds and
    draws that both have. Intervals and p cover other patients, seeds and draws
    (`crossed_interval`). With one seed there is an interval, of other patients and draws, and no p
    against another method: one seed ranks nothing.

    A control is another metric of the same predictions, such as the value by
    chance; its word stands in the place of the baseline. p values are Holm-corrected within one
    baseline, data set, head and encoder.
    """
    groups: dict[tuple[str, ...], dict[str, dict[str, Replicated]]] = {}
    for run, scores in scored:
        group: tuple[str, ...] = (
            run.protocol,
            run.dataset,
            run.task,
            run.head,
            run.pretrain.encoder,
        )
        group += (run.pretrain.corpus, scores.main, scores.images)
        metrics = groups.setdefault(group, {}).setdefault(run.pretrain.variant, {})
        _collect(metrics, run, scores)
    rows: list[dict[str, Any]] = []
    for group, of_variant in groups.items():
        # The images end the group and are no column: GROUP is one shorter.
        known = dict(zip(GROUP, group, strict=False))
        task = find_task(known["task"])
        for metric in task.tested(known["metric"]):
            of = {**known, "metric": metric}
            main = {variant: metrics.get(metric, {}) for variant, metrics in of_variant.items()}
            for baseline in baselines:
                if baseline in main:
                    base = dict.fromkeys(set(main) - {baseline}, main[baseline])
                    rows += _against(baseline, main, base, of)
            for control in task.metric(metric).controls:
                own = {variant: metrics.get(control, {}) for variant, metrics in of_variant.items()}
                rows += _against(control, main, own, of)
    return rows


def _collect(metrics: dict[str, Replicated], run: AdaptRun, scores: FileScores) -> None:
    """Add value and replicates of the main metric and its controls, by metric and cell."""
    point = {
        (v["metric"], v["fraction"], v["draw"]): v["value"]
        for v in scores.values
        if v["subset"] == "test" and v["label"] in OVERALL
    }
    for (metric, fraction, draw), replicates in scores.replicates.items():
        if fraction in run.fractions and draw in run.draws:
            cells = metrics.setdefault(metric, {})
            value = point[metric, fraction, draw]
            cells[fraction, draw, run.pretrain.seed] = (value, replicates)


def _against(
    baseline: str,
    main: Mapping[str, Replicated],
    base: Mapping[str, Replicated],
    known: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return the tests of the variants of one group against what `base` has for each of them."""
    rows: list[dict[str, Any]] = []
    for variant, cells in main.items():
        other = base.get(variant, {})
        for fraction in sorted({cell[0] for cell in cells}):
            shared = sorted(c for c in cells if c[0] == fraction and c in other)
            if not shared or np.isnan([cells[c][0] - other[c][0] for c in shared]).all():
                continue
            points, replicates = _table(cells, other, shared)
            seeds, draws = points.shape
            low, high, p, centre = (float("nan"),) * 4
            # No draw that every seed has: a row without a value says so, with 0 runs.
            if draws:
                low, high, p = crossed_interval(points, replicates)
                centre = float(np.mean(points))
            # One seed ranks no methods: another one moves a row by more than most methods do. What
            # the same predictions score by chance is another matter.
            ranked = seeds > 1 or find_metric(baseline).control
            row: dict[str, Any] = {**known, "fraction": fraction}
            row |= {"variant": variant, "baseline": baseline}
            row |= {"difference": centre, "low": low, "high": high}
            row |= {"p": p if ranked else float("nan"), "runs": points.size}
            row |= {"seeds": seeds, "draws": draws}
            rows.append(row | _spread(points, replicates, fraction))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = float(p)
    return rows


def _spread(points: Floats, replicates: Floats, fraction: int) -> dict[str, float]:
    """Return the variance components of a difference; NaN where the design cannot tell them."""
    seeds, draws = points.shape
    # Without a label there are no draws of it.
    told = seeds > 1 and (draws > 1 or (draws == 1 and fraction == 0))
    parts = components(points, replicates) if told else Components(*(float("nan"),) * 4)
    return {f"{name}_var": value for name, value in parts._asdict().items()}


def _table(
    cells: Replicated, other: Replicated, shared: Sequence[tuple[int, int, int]]
) -> tuple[Floats, Floats]:
    """Return differences `[S, D]` and their replicates `[S, D, R]`, seeds by draws.

    A draw that a seed lacks (a refused fraction) is left out for all: the table must be whole.
    """
    seeds = sorted({seed for _, _, seed in shared})
    fraction = shared[0][0]
    draws = [
        draw
        for draw in sorted({draw for _, draw, _ in shared})
        if all((fraction, draw, seed) in shared for seed in seeds)
    ]
    whole = [[(fraction, draw, seed) for draw in draws] for seed in seeds]
    points = [[cells[c][0] - other[c][0] for c in row] for row in whole]
    replicates = [[cells[c][1] - other[c][1] for c in row] for row in whole]
    return np.array(points), np.array(replicates)


def from_scores(first: Cells, second: Cells) -> tuple[float, float, float] | None:
    """Return a difference and its 95 % interval from the scores alone; None: nothing in common.

    Patients of both are taken as if they were other ones, so the interval is too wide rather than
    too narrow.
    """
    seeds = sorted({seed for seed, _ in first} & {seed for seed, _ in second})
    drawn = {draw for _, draw in first} & {draw for _, draw in second}
    both = first.keys() & second.keys()
    draws = sorted(draw for draw in drawn if all((seed, draw) in both for seed in seeds))
    if not seeds or not draws:
        return None
    table = [[(seed, draw) for draw in draws] for seed in seeds]
    points = np.array([[first[c][0] - second[c][0] for c in line] for line in table])
    # Seeds and draws meet the same patients, so the mean varies as one of them does.
    one, other = (np.mean([of[cell][1] for cell in both]) for of in (first, second))
    patients = float(np.hypot(one, other))
    half = float(half_width(0.05, mean_squares(points), patients, points.shape))
    centre = float(points.mean())
    return centre, centre - half, centre + half
