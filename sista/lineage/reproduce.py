"""Verb `reproduce`: make one number of a scores table again, from nothing, and compare it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from sista import tables
from sista.errors import UserError, check_word, say
from sista.grid import plan
from sista.grid.grid import Grid
from sista.lineage.address import Address, find
from sista.runs import provenance
from sista.runs.options import Share, Threads

NEEDED = ("Snakefile", "benchmarks", "envs", "sista", "workflow")
NAME = "reproduce"
SAME = ("machine", "system", "python")


def reproduce(
    scores: Path,
    *,
    row: str,
    column: str,
    head: str | None = None,
    grid: Path | None = None,
    folder: Path | None = None,
    tolerance: Share | None = None,
    cores: Threads | None = None,
) -> None:
    """Run one row of a released scores table again in an empty folder and compare the values.

    The present code runs, in an empty folder. On the machine kind and environment of the release,
    and where no file that the row's jobs run has changed since its code, the values must be
    bit-equal. Elsewhere sums are taken in another order, which training magnifies: there a value
    may differ by half the width of its own 95 % interval. Exits with 1 where it differs by more.

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
    address = find(scores, row, column, head)
    file = grid or Path("benchmarks") / f"{address.meta['grid']}.yaml"
    one = one_row(Grid.load(file), address)
    files = weights(one)
    with TemporaryDirectory(prefix="sista_") as temporary:
        run_folder = folder or Path(temporary)
        new_scores = _run(one, files, run_folder, cores or os.cpu_count() or 1)
        again, meta = tables.read(new_scores, "scores")
    same, why = same_kind(address, {"hosts": meta.get("hosts")}, again.iloc[0].to_dict())
    say(f"{scores}: {address.text}\n{why}")
    worst = _compare(address, again, 0.0 if same and tolerance is None else tolerance)
    if worst:
        raise SystemExit(1)


def one_row(grid: Grid, address: Address) -> dict[str, Any]:
    """Return a grid with the runs behind one number and no others.

    Raises:
        UserError: the grid has other settings now than the scores were made with.
    """
    first = address.rows.iloc[0]
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
    draws, seeds, fractions = (sorted({int(v) for v in address.rows[name]}) for name in names)
    head, dataset = str(first["head"]), str(first["dataset"])
    entry = {"protocol": str(first["protocol"]), "dataset": dataset, "head": head}
    # A head without training has no cells to choose.
    cells = {} if fractions == [0] else {"draws": draws, "fractions": fractions}
    return {
        "title": "One row",
        "budget": str(first["budget"]),
        "corpus": str(first["corpus"]),
        "encoders": [str(first["encoder"])],
        "variants": {variant: dict(grid.variants[variant])},
        "seeds": seeds,
        **cells,
        "threads": grid.threads,
        "bits": grid.bits,
        "adapt": [entry],
    }


def weights(one: Mapping[str, Any]) -> list[Path]:
    """Return the files of imported weights that the runs of a grid read.

    Args:
        one: the grid; a path of `weights` counts from the current folder.

    Raises:
        UserError: a file is not there, or is outside the project's folder by `..`.
    """
    grid = Grid.model_validate(one)
    files = []
    for variant in grid.variants:
        for encoder in grid.encoders:
            path = plan.weights_path(grid.settings_of(variant)[1], encoder)
            if path is None:
                continue
            if not path.is_file():
                raise UserError(
                    f"variant {variant}: its weights {path} are not here; make them with "
                    "`sista import`, or start in the folder that holds them"
                )
            # The path is linked inside the new folder, where `..` would lead elsewhere.
            if ".." in path.parts:
                raise UserError(f"variant {variant}: {path}: write its weights without `..`")
            files.append(path)
    return files


def environment() -> dict[str, str]:
    """Return the variables of the run: this Python's programs, raw data wherever it runs."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path}
    # Absolute, since the run has another current folder.
    if data := os.environ.get("SISTA_DATA"):
        variables["SISTA_DATA"] = str(Path(data).absolute())
    return variables


def copy_project(folder: Path, files: Iterable[Path] = ()) -> None:
    """Copy what a run needs into an empty folder, and link files of weights into it.

    Raises:
        UserError: the folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; give an empty folder")
    for name in NEEDED:
        source = provenance.ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    for path in files:
        # A full path is the same file from everywhere.
        if not path.is_absolute():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(path.absolute())


def _run(grid: Mapping[str, Any], files: Iterable[Path], folder: Path, cores: int) -> Path:
    """Copy the project into a folder, run the grid there and return its scores."""
    copy_project(folder, files)
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(dict(grid), sort_keys=False))
    command = ["snakemake", "--cores", str(cores), "--quiet", "host", "reason", "--config"]
    done = subprocess.run(  # noqa: S603 (no shell; checked words)
        [*command, f"grid={NAME}.yaml", "--", "score_all"],
        cwd=folder,
        env=environment(),
        check=False,
    )
    if done.returncode:
        raise UserError(f"{folder}: the run failed; see the messages above")
    return folder / "results" / "score" / f"{NAME}.parquet"


def same_kind(
    address: Address, again: Mapping[str, Any], row: Mapping[Any, Any]
) -> tuple[bool, str]:
    """Return whether released and new values must be bit-equal, and why."""
    hosts = [*(address.meta.get("hosts") or []), *(again["hosts"] or [])]
    # Both sides: the jobs of either may have run on several machines.
    kinds = {tuple(_kind(host)) for host in hosts}
    first = address.rows.iloc[0]
    other = [name for name in ("lock_hash", "device") if str(first[name]) != str(row[name])]
    if not address.meta.get("hosts"):
        return False, "the scores do not say on which machine they were made: within the interval"
    if len(kinds) > 1:
        return False, f"made on another kind of machine ({len(kinds)} kinds): within the interval"
    if other:
        return False, f"made with another {', '.join(other)}: within the interval"
    # A cell averages seeds and draws, which may be of several commits.
    rows = address.rows.drop_duplicates("code_version").to_dict("records")
    if changed := [str(row["code_version"]) for row in rows if not same_code(row)]:
        why = f"made with other code ({', '.join(changed)}): within the interval"
        return False, f"{why}; `--tolerance 0` asks for the same bits"
    codes = ", ".join(str(row["code_version"]) for row in rows)
    return True, f"same kind of machine, environment and code ({codes}): bit-equal"


def _kind(host: Mapping[str, Any]) -> Iterator[str]:
    """Yield what two hosts must share for equal bits."""
    portable = host.get("bits") == "portable"
    yield "portable" if portable else str(host.get("cpu"))
    yield from (str(host.get(name)) for name in SAME)


def same_code(row: Mapping[Any, Any]) -> bool:
    """Return whether the present code of a row's jobs is the code that the row was made with.

    Args:
        row: of scores. Its `code_version` is this one, or a commit since which git knows of no
            change in the files that its jobs run.
    """
    version = str(row["code_version"])
    if version == provenance.code_version():
        return True
    # git would take a leading dash for an option, and some of those write files.
    check_word("code_version", version)
    files = [
        *plan.code("fetch", datasets=row["corpus"]),
        *plan.code("fetch", datasets=row["dataset"]),
        *plan.code("prepare", datasets=row["corpus"]),
        *plan.code("prepare", datasets=row["dataset"]),
        *plan.code("pretrain", methods=row["method"]),
        *plan.code("adapt", heads=row["head"], protocols=row["protocol"]),
        *plan.code("score", tasks=row["task"]),
    ]
    # Exits with 1 where a file differs, with 128 where git does not know the commit.
    command = ["git", "-C", str(provenance.ROOT), "diff", "--quiet", version, "--"]
    try:
        done = subprocess.run([*command, *files], capture_output=True)  # noqa: S603 (as above)
        return done.returncode == 0
    except OSError:
        return False


def _compare(address: Address, again: Any, tolerance: float | None) -> list[str]:
    """Print every value beside the new one; return those that differ too much."""
    first = address.rows.iloc[0]
    wrong = []
    for old in address.rows.to_dict("records"):
        # Every metric and label was made again; the one behind the number is looked at.
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
        # Only NaN differs from itself.
        both_missing = value != value and old["value"] != old["value"]
        good = both_missing or abs(value - old["value"]) <= allowed
        text = f"draw {old['draw']}, seed {old['seed']}: {old['value']!r} and now {value!r}"
        say(f"{'ok ' if good else 'NOT'} {text} (allowed {allowed:.4f})")
        wrong += [] if good else [text]
    return wrong
