"""Numbers that others have printed, beside ours only under the same protocol and metric name."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sista.errors import UserError
from sista.report.cells import Column, TaskTable

# From the project's root.
PUBLISHED = Path("benchmarks/published_results.csv")
# Names that papers give to encoders of the suite.
BACKBONES = {"R50": "resnet50", "ViT-B/16": "vit_base"}
DASH = "–"


@dataclass(frozen=True)
class Printed:
    """The rows that one source prints for one encoder: texts by method and column."""

    title: str
    rows: Mapping[str, Mapping[Column, str]]


def printed_elsewhere(table: TaskTable, file: Path = PUBLISHED) -> tuple[Printed, ...]:
    """Return what was printed elsewhere for the columns and encoders of a table.

    Nothing for a data set of the phantom, another protocol, another metric or another encoder.

    Args:
        table: a table of one task.
        file: CSV with protocol, task, dataset, metric, method, backbone, label_fraction (a share),
            value (in percent, empty = printed as a dash), source; where it is not: nothing.

    Raises:
        UserError: a row has no number where one is due.
    """
    if not file.is_file():
        return ()
    # Where a data set has several heads in the table, the source does not say which is its own.
    columns = {
        (column.protocol, table.task, column.dataset, column.metric, column.fraction): column
        for column in table.columns
        if not column.head
    }
    encoders = {block.encoder for block in table.blocks}
    found: dict[tuple[str, str], dict[str, dict[Column, str]]] = {}
    for row, share, value in _rows(file):
        place = (row["protocol"], row["task"], row["dataset"], row["metric"], round(100 * share))
        encoder = BACKBONES.get(row["backbone"], "")
        if place in columns and encoder in encoders:
            block = found.setdefault((row["backbone"], row["source"]), {})
            block.setdefault(row["method"], {})[columns[place]] = value
    return tuple(
        Printed(f"Printed elsewhere, not run here: {backbone}, {source}", rows)
        for (backbone, source), rows in found.items()
    )


def _rows(file: Path) -> Iterable[tuple[dict[str, str], float, str]]:
    """Yield each row with its share of labels and its value as text."""
    with file.open(newline="", encoding="utf-8") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                value = f"{float(row['value']):.1f}" if row["value"] else DASH
                yield row, float(row["label_fraction"]), value
            except (KeyError, ValueError, TypeError) as error:
                raise UserError(f"{file}, row {number}: not a printed result: {error}") from error
