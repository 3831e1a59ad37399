"""The main scores of a grid in two small files, which DVC compares and draws.

GRID.metrics.json (schema: workflow/schemas/metrics.schema.json) and GRID.plots.csv (`PLOTS`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pandera.pandas as pa
from pydantic import Field, RootModel

from sista.files import atomic, write_json
from sista.scoring.main_rows import main_rows

PLACE = ["protocol", "dataset", "head", "encoder", "variant"]
Share = Annotated[float, Field(ge=0, le=1)]
Scores = Annotated[dict[str, Share], Field(description="by METRIC_FRACTION, e.g. auroc_10")]


class Metrics(RootModel[dict[str, dict[str, dict[str, dict[str, dict[str, Scores]]]]]]):
    """Main metric by protocol, data set, head, encoder, variant: mean over draws and seeds.

    A fraction without a value (n/a) has no entry.
    """


PLOTS = pa.DataFrameSchema(
    {
        "run": pa.Column(str, unique=True, coerce=True),
        **{name: pa.Column(str, coerce=True) for name in [*PLACE, "metric"]},
        "fraction": pa.Column("int64", pa.Check.isin((0, 1, 10, 100)), coerce=True),
        "value": pa.Column(float, pa.Check.in_range(0, 1), coerce=True),
        "std": pa.Column(float, nullable=True, coerce=True),
        "runs": pa.Column("int64", pa.Check.ge(1), coerce=True),
    },
    strict=True,
    ordered=True,
)


def summary_files(scores: Path) -> tuple[Path, Path]:
    """Return where the metrics and the plots of a scores table are."""
    return scores.with_suffix(".metrics.json"), scores.with_suffix(".plots.csv")


def write_summary(
    scores: pd.DataFrame, main_metrics: Mapping[str, str], out: Path
) -> tuple[Path, Path]:
    """Write the main scores beside the scores table; equal scores give equal bytes.

    Args:
        scores: scores table.
        main_metrics: main metric by predictions file, of the table's metadata.
        out: the scores table.

    Returns:
        The metrics file and the plots file.
    """
    metrics, plots = summary_files(out)
    table = PLOTS.validate(summary(scores, main_metrics))
    nested: dict[str, Any] = {}
    for row in table.to_dict("records"):
        branch = nested
        for name in PLACE:
            branch = branch.setdefault(str(row[name]), {})
        branch[f"{row['metric']}_{row['fraction']}"] = float(row["value"])
    write_json(metrics, Metrics.model_validate(nested).model_dump())
    with atomic(plots) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    return metrics, plots


def summary(scores: pd.DataFrame, main_metrics: Mapping[str, str]) -> pd.DataFrame:
    """Return mean and standard deviation of the main metric over draws and seeds, by `PLOTS`."""
    rows = main_rows(scores, main_metrics)
    keys = [*PLACE, "metric", "fraction"]
    grouped = rows.dropna(subset=["value"]).groupby(keys, sort=False)["value"]
    table = grouped.agg(value="mean", std="std", runs="count").reset_index()
    # Several protocols may share a data set.
    words = PLACE if table["protocol"].nunique() > 1 else PLACE[1:]
    records = table.to_dict("records")
    names = [" ".join(str(row[w]) for w in words) + f" {row['fraction']} %" for row in records]
    table.insert(0, "run", names)
    return table
