"""Settings and learning curves of released numbers, shown only where hashes say they are theirs."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from sista import registry
from sista.errors import UserError
from sista.grid.grid import Grid
from sista.report.event_files import read_log
from sista.runs.ancestry import Link, below_of, hash_of, result_path

LOG = "log.csv"


class Histories(NamedTuple):
    """What pre-training runs left, by encoder and seed in words.

    Attributes:
        settings: of each run.
        logs: the losses of each run.
    """

    settings: dict[str, dict[str, Any]]
    logs: dict[str, pd.DataFrame]


def predictions_link(path: Path, content: str) -> Link | None:
    """Return the chain of a predictions file, None unless it has the hash that the scores name.

    Args:
        path: of the predictions.
        content: SHA-256 of the file that was scored.
    """
    link = below_of(path)
    if link is None or link.record is None or link.sha256 != content:
        return None
    return link


def histories(scores: pd.DataFrame, results: Path) -> Histories:
    """Return what is on this machine of the pre-training behind the rows of a variant.

    Args:
        scores: its rows.
        results: folder of all results; a run there counts where the predictions, the encoder and
            the log have the hashes that led to the scores.
    """
    found = Histories({}, {})
    for row in scores.drop_duplicates(["encoder", "corpus", "seed"]).to_dict("records"):
        try:
            path = result_path(str(row["predictions"]), results)
        # A name that leads elsewhere has no record here.
        except UserError:
            continue
        link = predictions_link(path, str(row["predictions_sha256"]))
        encoders = [e for e in link.below if e.path.suffix == ".safetensors"] if link else []
        for encoder in encoders:
            # `made again since`: the file there is of another run.
            made, read = encoder.made, encoder.recorded
            if encoder.record is None or not made or not read or made.sha256 != read.sha256:
                continue
            name = f"{row['encoder']}, seed {row['seed']}"
            found.settings[name] = encoder.record.run
            log, fact = encoder.path.with_name(LOG), encoder.record.outputs.get(LOG)
            if fact and log.is_file() and hash_of(log) == fact.sha256:
                found.logs[name] = read_log(log)
    return found


def planned_settings(scores: pd.DataFrame, grid: Grid | None) -> dict[str, Any]:
    """Return the settings of a variant by its grid file, nothing where their hash differs.

    Args:
        scores: rows of the variant.
        grid: of the project's own file of that name, if there is one.

    Returns:
        Every setting of its method; those that the grid does not name have the default of this
        version of the code.
    """
    if grid is None:
        return {}
    first = scores.iloc[0]
    for run in grid.pretrain_runs():
        if run.variant == first["variant"] and run.settings_hash == first["settings_hash"]:
            known = registry.settings("methods", run.method)
            return {name: each.default for name, each in known.items()} | run.settings
    return {}
