"""Score: predictions of a grid → one tidy table of metrics with intervals and provenance."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sista import registry, tables
from sista.encoders.feature_cache import discard
from sista.files import UserError
from sista.grid import AdaptRun, Grid
from sista.grid_file import read_grid
from sista.metrics.cached import FileScores, score_file
from sista.metrics.evaluate import OVERALL
from sista.metrics.intervals import (
    holm,
    paired_bootstrap_p,
    percentile_interval,
    seeds_interval,
)
from sista.progress import track
from sista.record import Made, recorded
from sista.report.summary import write_summary
from sista.workers import worker_pool

# Differ between two equal runs, or name what they were made with.
MADE_WITH = ("code_version", "lock_hash", "device")
NOT_COMPARED = (*MADE_WITH, "wall_s", "peak_mb", "predictions_sha256")
RUN_COLUMNS = (
    "variant method settings_hash encoder family corpus budget seed dataset release split_hash "
    "protocol head task code_version lock_hash device peak_mb"
).split()


@recorded("score")
def score(
    *,
    grid: Path,
    out: Path,
    results: Path = Path("results"),
    bootstrap: int = 1000,
    threads: int = 1,
) -> Made:
    """Compute all metrics of all runs of a grid, with 95 % intervals.

    Args:
        grid: the grid file.
        out: scores table to write, e.g. results/score/phantom.parquet; the main scores are written
            beside it, phantom.metrics.json and phantom.plots.csv.
        results: folder of all results.
        bootstrap: samples of patients behind each interval and each paired test.
        threads: processes; the values do not depend on it.
    """
    plan = Grid.load(grid)
    runs = list(plan.adapt_runs())
    scored = score_runs(runs, results=results, bootstrap=bootstrap, threads=threads)
    frame = pd.DataFrame([row for pair in scored for row in rows(*pair)])
    meta: dict[str, Any] = {
        "grid": grid.stem,
        "title": plan.title,
        "bootstrap": bootstrap,
        "main_metrics": {run.predictions: scores.main for run, scores in scored},
        "comparisons": comparisons(scored, plan.baselines),
        "hosts": _hosts(scored),
    }
    small = write_summary(frame, meta["main_metrics"], out)
    tables.write(frame, out, "scores", meta=meta)
    for run in runs:
        discard(results / Path(run.checkpoint).relative_to("results"))
    read = [*read_grid(grid)[1], *(predictions_path(run, results) for run in runs)]
    return Made(
        [out, *small], read, {"grid": grid.stem, "bootstrap": bootstrap}, facts={"n": len(frame)}
    )


def _hosts(scored: Iterable[tuple[AdaptRun, FileScores]]) -> list[dict[str, Any]]:
    """Return the kinds of machines behind the predictions, each once."""
    found = [scores.meta["run"].get("host") for _, scores in scored]
    return [host for place, host in enumerate(found) if host and host not in found[:place]]


def score_runs(
    runs: Sequence[AdaptRun], *, results: Path, bootstrap: int, threads: int = 1
) -> list[tuple[AdaptRun, FileScores]]:
    """Return the scores of every run's predictions, in the order of the runs."""
    missing = [p for run in runs if not (p := predictions_path(run, results)).is_file()]
    if missing:
        raise UserError(
            f"{missing[0]}: no such predictions ({len(missing)} of {len(runs)} are missing); "
            "make them with `snakemake --cores all` or `python -m sista adapt`"
        )
    work = partial(_score_one, results=results, bootstrap=bootstrap)
    if threads <= 1:
        return list(zip(runs, track(map(work, runs), "score", len(runs)), strict=True))
    with worker_pool(threads, "fork") as pool:
        return list(zip(runs, track(pool.map(work, runs), "score", len(runs)), strict=True))


def _score_one(run: AdaptRun, *, results: Path, bootstrap: int) -> FileScores:
    metrics = registry.find("protocols", run.protocol).metrics[run.task]
    return score_file(
        predictions_path(run, results),
        run.task,
        main=metrics[0],
        bootstrap=bootstrap,
        cache_folder=results / "score/cache",
    )


def predictions_path(run: AdaptRun, results: Path) -> Path:
    """Return where a run's predictions are when the results lie in `results`."""
    return results / Path(run.predictions).relative_to("results")


def rows(run: AdaptRun, scores: FileScores) -> Iterator[dict[str, Any]]:
    """Yield the rows of the scores table for the draws and fractions of the grid."""
    made = scores.meta["run"]
    absent = [name for name in RUN_COLUMNS if name not in made]
    if absent:
        raise UserError(f"{run.predictions}: its run lacks {', '.join(absent)}; run it again")
    if made["settings_hash"] != run.settings_hash:
        raise UserError(
            f"{run.predictions}: made with other settings of {run.variant} than this grid has; "
            "another grid gives the variant this name too: rename one, or run this grid again"
        )
    known = {name: made[name] for name in RUN_COLUMNS}
    known |= {"predictions": run.predictions, "predictions_sha256": scores.sha256}
    wall = made.get("wall_s") or {}
    by_place = defaultdict(list)
    for value in scores.values:
        by_place[value["fraction"], value["draw"]].append(value)
    for fraction in run.fractions:
        for draw in run.draws:
            seconds = {"wall_s": float(wall.get(f"{draw},{fraction}", "nan"))}
            for value in by_place.get((fraction, draw), []):
                yield known | seconds | value
            if (fraction, draw) not in scores.replicates:
                yield known | seconds | _not_available(run, scores, fraction, draw)


def _not_available(run: AdaptRun, scores: FileScores, fraction: int, draw: int) -> dict[str, Any]:
    """Return the row of a refused fraction: no value, and the reason."""
    reasons = [
        str(item["reason"])
        for item in scores.meta.get("refused", [])
        if int(item["fraction"]) == fraction and item.get("draw", draw) in (draw, -1, None)
    ]
    nan = float("nan")
    return {
        "fraction": fraction,
        "draw": draw,
        "subset": "test",
        "metric": scores.main,
        "label": "all" if run.task == "detection" else "macro",
        "value": nan,
        "low": nan,
        "high": nan,
        "n": 0,
        "note": reasons[0] if reasons else "not in the predictions file",
    }


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


def compare(a: Path, b: Path) -> None:
    """Compare the values of two scores tables; exit with 1 and list the differences.

    Times, memory and file hashes are not compared. Another code version, environment lock or device
    is told, and is no difference.

    Args:
        a: a scores table.
        b: another one.
    """
    first, second = (tables.read(path, "scores")[0] for path in (a, b))
    for name in MADE_WITH:
        made = [", ".join(sorted(map(str, table[name].unique()))) for table in (first, second)]
        if made[0] != made[1]:
            print(f"{name}: {made[0]} and {made[1]}")
    differences = list(differing(first, second))
    for line in differences[:50]:
        print(line)
    if len(differences) > 50:
        print(f"... and {len(differences) - 50} more")
    if differences:
        raise SystemExit(1)
    print(f"{a} and {b}: equal values")


def differing(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[str]:
    """Yield a line for every value that is not bit-identical in two scores tables."""
    numbers = ["value", "low", "high", "n", "note"]
    keys = [c for c in first.columns if c not in (*NOT_COMPARED, *numbers)]
    both = first[keys + numbers].merge(
        second[keys + numbers], on=keys, how="outer", indicator=True, suffixes=("_a", "_b")
    )
    for record in both.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        place = (
            "{protocol} {dataset} {head} {variant} {encoder} seed {seed} {fraction} % draw {draw} "
        )
        text = (place + "{subset} {metric} {label}").format(**row)
        if row["_merge"] != "both":
            yield f"{text}: only in {'the first' if row['_merge'] == 'left_only' else 'the second'}"
            continue
        for name in numbers:
            left, right = row[f"{name}_a"], row[f"{name}_b"]
            if left != right and not (pd.isna(left) and pd.isna(right)):
                yield f"{text}: {name} {left!r} and {right!r}"
