"""The list of runs of a report: what each number was made by, from the records of the results."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sista.report.cells import run_anchor
from sista.runs.ancestry import below_of, raw_data, result_path
from sista.runs.record import read_record

RUN_COLUMNS = (
    "Variant",
    "Encoder",
    "Seed",
    "Data set",
    "Head",
    "Settings",
    "Split",
    "Seconds",
    "Peak MB",
    "Code",
    "Predictions",
    "SHA-256",
    "Encoder SHA-256",
    "Raw data SHA-256",
    "Record",
    "Date",
)


@dataclass(frozen=True)
class RunRow:
    """A run in the list: the id that numbers lead to, and its columns as text."""

    anchor: str
    values: tuple[str, ...]

    @property
    def facts(self) -> dict[str, str]:
        """The columns by name."""
        return dict(zip(RUN_COLUMNS, self.values, strict=True))


def run_rows(scores: pd.DataFrame, results: Path = Path("results")) -> list[RunRow]:
    """Return one row for each predictions file: what it is, what it cost, what it was made from.

    Args:
        scores: scores table.
        results: folder of all results; without the records there the last columns stay empty.
    """
    listed: list[RunRow] = []
    for path, part in scores.groupby("predictions", sort=False):
        first = part.iloc[0]
        # A row is one metric: the time of its head stands in each row of that head.
        seconds = part.drop_duplicates(["fraction", "draw"])["wall_s"].sum()
        peak = "" if pd.isna(first["peak_mb"]) else f"{first['peak_mb']:.0f}"
        names = ("variant", "encoder", "seed", "dataset", "head", "settings_hash", "split_hash")
        values = [str(first[name]) for name in names]
        values += [f"{seconds:.1f}", peak, str(first["code_version"]), str(path)]
        values += [str(first["predictions_sha256"])[:12]]
        content = str(first["predictions_sha256"])
        sources = _made_from(results, result_path(str(path), results), content)
        values += [sources.get(name, "") for name in ("encoder", "raw", "record", "date")]
        listed.append(RunRow(run_anchor(str(path)), tuple(values)))
    return listed


def _made_from(results: Path, path: Path, content: str) -> Mapping[str, str]:
    """Return hashes of the encoder and of the raw data, place and day of the record.

    Nothing where the file there is not the one that was scored.

    The place is told from `results` on, wherever that folder is: a page may be passed on.
    """
    link = below_of(path)
    if link is None or link.record_path is None or link.sha256 != content:
        return {}
    encoders = [each.sha256 or "" for each in link.below if each.path.suffix == ".safetensors"]
    raw = [f"{word} {value[:12]}" for word, value in raw_data(link).items()]
    return {
        "encoder": ", ".join(value[:12] for value in encoders),
        "raw": ", ".join(raw),
        "record": (Path("results") / link.record_path.relative_to(results)).as_posix(),
        "date": read_record(link.record_path).started.date().isoformat(),
    }
