"""Verb `reproduce`: make one number of a scores table again, from nothing, and compare it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from sista import provenance, tables
from sista.files import UserError
from sista.grid import Grid
from sista.lineage.address import Address, find

NEEDED = ("Snakefile", "benchmarks", "envs", "sista", "workflow")
NAME = "reproduce"
SAME = ("machine", "system", "cpu", "python")


def reproduce(
    scores: Path,
    *,
    row: str,
    column: str,
    head: str | None = None,
    grid: Path | None = None,
    folder: Path | None = None,
    tolerance: float | None = None,
    cores: int | None = None,
) -> None:
    """Run one row of a released scores table again in an empty folder and compare the values.

    On the machine kind, environment and code of the release the values must be bit-equal.
    Elsewhere sums are taken in another order, which training magnifies: there a value may differ
    by half the width of its own 95 % interval. Exits with 1 where it differs by more.

    Args:
        scores: a scores table, e.g. results/released/phantom/scores.parquet.
        row: VARIANT/ENCODER, e.g. `sista/resnet_tiny`.
        column: DATASET/FRACTION, e.g. `chexpert@phantom/10`.
        head: where a data set has several heads.
        grid: the grid of the scores; by default benchmarks/GRID.yaml of that name.
        folder: empty folder to run in, kept; by default a temporary one.
        tolerance: largest difference allowed, in the unit of the metric (0 to 1).
        cores: for Snakemake; by default all.
    """
    found = find(scores, row, column, head)
    file = grid or Path("benchmarks") / f"{found.meta['grid']}.yaml"
    one = one_row(Grid.load(file), found)
    with TemporaryDirectory(prefix="sista_") as temporary:
        place = folder or Path(temporary)
        made = _run(one, place, cores or os.cpu_count() or 1)
        again, meta = tables.read(made, "scores")
    same, why = same_kind(found, {"hosts": meta.get("hosts")}, again.iloc[0].to_dict())
    print(f"{scores}: {found.text}\n{why}")
    worst = _compare(found, again, 0.0 if same and tolerance is None else tolerance)
    if worst:
        raise SystemExit(1)


def one_row(grid: Grid, found: Address) -> dict[str, Any]:
    """Return a grid with the runs behind one number and no others.

    Raises:
        UserError: the grid has other settings now than the scores were made with.
    """
    first = found.rows.iloc[0]
    variant = str(first["variant"])
    if variant not in grid.variants:
        raise UserError(f"variant {variant} is not in the grid; name the right one with --grid")
    runs = {run.settings_hash for run in grid.pretrain_runs() if run.variant == variant}
    if str(first["settings_hash"]) not in runs:
        raise UserError(
            f"variant {variant}: the grid has other settings than the scores were made with; "
            f"check out code {first['code_version']} or name another grid with --grid"
        )
    names = ("draw", "seed", "fraction")
    draws, seeds, fractions = (sorted({int(v) for v in found.rows[name]}) for name in names)
    head, dataset = str(first["head"]), str(first["dataset"])
    entry = {"protocol": str(first["protocol"]), "dataset": dataset, "head": head}
    return {
        "title": "One row",
        "budget": str(first["budget"]),
        "corpus": str(first["corpus"]),
        "encoders": [str(first["encoder"])],
        "variants": {variant: dict(grid.variants[variant])},
        "seeds": seeds,
        "draws": draws,
        "fractions": fractions,
        "threads": grid.threads,
        "adapt": [entry],
    }


def _run(grid: Mapping[str, Any], folder: Path, cores: int) -> Path:
    """Copy the project into a folder, run the grid there and return its scores."""
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty")
    for name in NEEDED:
        source = provenance.ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(dict(grid), sort_keys=False))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["snakemake", "--cores", str(cores), "--quiet", "host", "reason", "--config"]
    done = subprocess.run(
        [*command, f"grid={NAME}.yaml", "--", "score_all"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        check=False,
    )
    if done.returncode:
        raise UserError(f"{folder}: the run failed; see the messages above")
    return folder / "results" / "score" / f"{NAME}.parquet"


def same_kind(found: Address, again: Mapping[str, Any], row: Mapping[Any, Any]) -> tuple[bool, str]:
    """Return whether released and new values must be bit-equal, and why."""
    hosts = [*(found.meta.get("hosts") or []), *(again["hosts"] or [])]
    kinds = {tuple(str(host.get(name)) for name in SAME) for host in hosts}
    first = found.rows.iloc[0]
    other = [name for name in ("lock_hash", "device") if str(first[name]) != str(row[name])]
    if not found.meta.get("hosts"):
        return False, "the scores do not say on which machine they were made: within the interval"
    if len(kinds) > 1:
        return False, f"made on another kind of machine ({len(kinds)} kinds): within the interval"
    if other:
        return False, f"made with another {', '.join(other)}: within the interval"
    return True, f"same kind of machine and environment: bit-equal (code {first['code_version']})"


def _compare(found: Address, again: Any, tolerance: float | None) -> list[str]:
    """Print every value beside the new one; return those that differ too much."""
    first = found.rows.iloc[0]
    wrong = []
    for old in found.rows.to_dict("records"):
        new = again[
            (again["draw"] == old["draw"])
            & (again["seed"] == old["seed"])
            & (again["fraction"] == old["fraction"])
            & (again["metric"] == first["metric"])
            & (again["label"] == first["label"])
            & (again["subset"] == "test")
        ]
        value = float(new["value"].iloc[0]) if len(new) else float("nan")
        allowed = (old["high"] - old["low"]) / 2 if tolerance is None else tolerance
        both_missing = value != value and old["value"] != old["value"]
        good = both_missing or abs(value - old["value"]) <= allowed
        text = f"draw {old['draw']}, seed {old['seed']}: {old['value']!r} and now {value!r}"
        print(f"{'ok ' if good else 'NOT'} {text} (allowed {allowed:.4f})")
        wrong += [] if good else [text]
    return wrong
