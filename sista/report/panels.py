"""The panels of a figure: a line for each data set, metric and head, a column for each encoder."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd


class Line(NamedTuple):
    """A line of panels; families may have heads of their own for it (unet and setr_pup)."""

    dataset: str
    metric: str
    heads: tuple[str, ...]


@dataclass(frozen=True)
class Panels:
    """Rows of scores or comparisons, cut into panels; lines and encoders in order of appearance."""

    rows: pd.DataFrame
    lines: tuple[Line, ...]
    encoders: tuple[str, ...]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "Panels":
        """Cut rows with the columns dataset, metric, head and encoder into panels."""
        lines = []
        for (dataset, metric), part in rows.groupby(["dataset", "metric"], sort=False):  # type: ignore[misc]
            by_encoder = [
                list(map(str, dict.fromkeys(own["head"])))
                for _, own in part.groupby("encoder", sort=False)
            ]
            lines += [Line(str(dataset), str(metric), heads) for heads in _together(by_encoder)]
        return cls(rows, tuple(lines), tuple(map(str, dict.fromkeys(rows["encoder"]))))

    def part(self, line: Line, encoder: str) -> pd.DataFrame:
        """Return the rows of one panel."""
        rows = self.rows[(self.rows["dataset"] == line.dataset) & (self.rows["encoder"] == encoder)]
        return rows[(rows["metric"] == line.metric) & rows["head"].isin(line.heads)]

    def title(self, line: Line, start: str) -> str:
        """Return `start`, the data set and, where that has several lines, the heads."""
        several = sum(other[:2] == line[:2] for other in self.lines) > 1
        return f"{start} · {line.dataset}" + (f" · {'/'.join(line.heads)}" if several else "")


def _together(by_encoder: Iterable[list[str]]) -> list[tuple[str, ...]]:
    """Return sets of heads that share a line: the same head, or that of another encoder."""
    lines: list[list[str]] = []
    for heads in by_encoder:
        for head in heads:
            same = [line for line in lines if head in line]
            free = [line for line in lines if not set(line) & set(heads)]
            if same:
                continue
            if free:
                free[0].append(head)
            else:
                lines.append([head])
    return [tuple(line) for line in lines]
