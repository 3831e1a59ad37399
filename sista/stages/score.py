"""Score: predictions of a grid → one tidy table of metrics with intervals and provenance."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from sista import registry, tables
from sista.encoders.feature_cache import discard
from sista.errors import UserError, shown
from sista.grid.file import read_grid
from sista.grid.grid import Grid
from sista.grid.runs import AdaptRun
from sista.protocols._base import Protocol
from sista.runs.options import Results, Samples, Threads
from sista.runs.progress import track
from sista.runs.record import Made, recorded
from sista.runs.workers import worker_pool
from sista.scoring.cached import FileScores, remove_leftovers, score_file
from sista.scoring.comparisons import comparisons
from sista.scoring.summary import write_summary
from sista.tasks._base import find_task

RUN_COLUMNS = (
    "variant method settings_hash encoder family corpus budget seed dataset release split_hash "
    "protocol head task code_version lock_hash device peak_mb"
).split()


@recorded("score")
def score(
    *,
    grid: Path,
    out: Path,
    results: Results = Path("results"),
    bootstrap: Samples = 1000,
    threads: Threads = 1,
    discard_features: bool = False,
) -> Made:
    """Compute all metrics of all runs of a grid, with 95 % intervals.

    Args:
        grid: the grid file.
        out: scores table to write, e.g. results/score/phantom.parquet; the main scores are written
            beside it, phantom.metrics.json and phantom.plots.csv.
        results: folder of all results.
        bootstrap: samples of patients behind each interval and each paired test.
        threads: processes; the values do not depend on it.
        discard_features: remove the features that adapt has kept beside the grid's encoders; a
            head that needs them later encodes again.
    """
    compared = Grid.load(grid)
    remove_leftovers(results / "score/cache")
    runs = list(compared.adapt_runs())
    scored = score_runs(runs, results=results, bootstrap=bootstrap, threads=threads)
    _check_alike(scored)
    frame = pd.DataFrame([row for pair in scored for row in rows(*pair)])
    meta: dict[str, Any] = {
        "grid": grid.stem,
        "title": compared.title,
        "bootstrap": bootstrap,
        "main_metrics": {run.predictions: scores.main for run, scores in scored},
        "controls": compared.controls(),
        "comparisons": comparisons(scored, compared.baselines),
        "hosts": _hosts(scored),
    }
    small = write_summary(frame, meta["main_metrics"], out)
    tables.write(frame, out, "scores", meta=meta)
    if discard_features:
        for checkpoint in dict.fromkeys(run.pretrain.checkpoint for run in runs):
            discard(results / Path(checkpoint).relative_to("results"))
    read = [*read_grid(grid)[1], *(predictions_path(run, results) for run in runs)]
    return Made(
        [out, *small], read, {"grid": grid.stem, "bootstrap": bootstrap}, facts={"n": len(frame)}
    )


def _check_alike(scored: Iterable[tuple[AdaptRun, FileScores]]) -> None:
    """Refuse predictions of one data set that were made from different states of it.

    Raises:
        UserError: names two files.
    """
    firsts: dict[tuple[str, ...], tuple[str, tuple[str, ...]]] = {}
    for run, scores in scored:
        # Heads have images of their own; encoders masks of their own size.
        key = (run.protocol, run.dataset, run.head, run.encoder)
        made = scores.meta["run"]
        state = (str(made.get("release")), str(made.get("split_hash")), scores.images)
        first, known = firsts.setdefault(key, (run.predictions, state))
        if known != state:
            raise UserError(
                f"{run.predictions} and {first}: made from different releases, splits or true "
                f"labels of {run.dataset}; delete the older one and run again"
            )


def _hosts(scored: Iterable[tuple[AdaptRun, FileScores]]) -> list[dict[str, Any]]:
    """Return the kinds of machines behind the predictions, each once."""
    hosts = [scores.meta["run"].get("host") for _, scores in scored]
    return [host for index, host in enumerate(hosts) if host and host not in hosts[:index]]


def score_runs(
    runs: Sequence[AdaptRun],
    *,
    results: Path,
    bootstrap: int,
    threads: int = 1,
    cache: Path | None = None,
) -> list[tuple[AdaptRun, FileScores]]:
    """Return the scores of every run's predictions, in the order of the runs.

    Args:
        runs: whose predictions are scored.
        results: folder of all results.
        bootstrap: samples of patients.
        threads: processes.
        cache: where scores are kept and looked for; None = beside the results.
    """
    missing = [p for run in runs if not (p := predictions_path(run, results)).is_file()]
    if missing:
        raise UserError(
            f"{missing[0]}: no such predictions ({len(missing)} of {len(runs)} are missing); "
            "make them with `snakemake --cores all` or `sista adapt`"
        )
    kept = cache or results / "score/cache"
    work = partial(_score_one, results=results, bootstrap=bootstrap, cache=kept)
    if threads <= 1:
        return list(zip(runs, track(map(work, runs), "score", len(runs)), strict=True))
    with worker_pool(threads, "fork") as pool:
        return list(zip(runs, track(pool.map(work, runs), "score", len(runs)), strict=True))


def _score_one(run: AdaptRun, *, results: Path, bootstrap: int, cache: Path) -> FileScores:
    rules: Protocol = registry.find("protocols", run.protocol)
    return score_file(
        predictions_path(run, results),
        run.task,
        main=rules.main_metric(run.task) or find_task(run.task).metrics[0].word,
        bootstrap=bootstrap,
        cache_folder=cache,
    )


def predictions_path(run: AdaptRun, results: Path) -> Path:
    """Return where a run's predictions are when the results lie in `results`."""
    return results / Path(run.predictions).relative_to("results")


def rows(run: AdaptRun, scores: FileScores) -> Iterator[dict[str, Any]]:
    """Yield the rows of the scores table for the draws and fractions of the grid."""
    meta = scores.meta["run"]
    absent = [name for name in RUN_COLUMNS if name not in meta]
    if absent:
        raise UserError(f"{run.predictions}: its run lacks {', '.join(absent)}; run it again")
    for name, word in run.words.items():
        if meta[name] != word:
            raise UserError(
                f"{run.predictions}: lies where {name} is {word}, and is of {shown(meta[name])}; "
                "delete it and run again"
            )
    # Paths name a variant, not its settings: the hash tells two grids that mean different things.
    if meta["settings_hash"] != run.pretrain.settings_hash:
        raise UserError(
            f"{run.predictions}: made with other settings of {run.variant} than this grid has; "
            "another grid gives the variant this name too: rename one, or run this grid again"
        )
    known = {name: meta[name] for name in RUN_COLUMNS}
    # Predictions of an older version do not say it.
    known |= {"plateau": meta.get("plateau")}
    known |= {"predictions": run.predictions, "predictions_sha256": scores.sha256}
    wall = meta.get("wall_s") or {}
    by_cell = defaultdict(list)
    for value in scores.values:
        by_cell[value["fraction"], value["draw"]].append(value)
    for fraction in run.fractions:
        for draw in run.draws:
            seconds = {"wall_s": float(wall.get(f"{draw},{fraction}", "nan"))}
            for value in by_cell.get((fraction, draw), []):
                yield known | seconds | value
            # A refused fraction has its row all the same, so that tables show the gap and its
            # reason.
            if (scores.main, fraction, draw) not in scores.replicates:
                for row in _not_available(run, scores, fraction, draw):
                    yield known | seconds | row


def _not_available(
    run: AdaptRun, scores: FileScores, fraction: int, draw: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a refused fraction: no value of what its table shows, and the reason."""
    reasons = [
        str(item["reason"])
        for item in scores.meta.get("refused", [])
        if int(item["fraction"]) == fraction and item.get("draw", draw) in (draw, -1, None)
    ]
    task, nan = find_task(run.task), float("nan")
    note = reasons[0] if reasons else "not in the predictions file"
    for metric in task.shown(scores.main, fraction):
        values = {"value": nan, "low": nan, "high": nan, "n": 0, "note": note}
        keys = {"fraction": fraction, "draw": draw, "subset": "test", "metric": metric}
        yield keys | {"label": task.overall} | values
