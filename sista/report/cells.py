"""The main tables as data: mean and standard deviation over draws, best per block, footnotes."""

from collections.abc import Collection, Iterable
from dataclasses import astuple, dataclass, field, replace

import numpy as np
import pandas as pd

from sista.files import digest
from sista.report.captions import caption, count
from sista.scoring.main_rows import off_plateau
from sista.tasks._base import find_metric, find_task

FAMILIES = {"resnet": "ResNet", "vit": "ViT"}
NOT_AVAILABLE = "n/a"


def family_title(family: str, encoder: str) -> str:
    """Return the name of an encoder's family in prose; the family `resnet` has other CNNs too."""
    if family == "resnet" and "resnet" not in encoder:
        return "CNN"
    return FAMILIES.get(family, family)


@dataclass(frozen=True)
class Column:
    """A data set under a protocol at one label fraction."""

    protocol: str
    dataset: str
    head: str
    metric: str
    fraction: int

    @property
    def group(self) -> str:
        """Heading over the fractions of one data set."""
        head = f", {self.head}" if self.head else ""
        return f"{self.dataset} · {find_metric(self.metric).title}{head}"

    @property
    def share(self) -> str:
        """Which labels the head was trained on, in words."""
        return share_of_labels(self.fraction)


@dataclass(frozen=True)
class Cell:
    """One number: mean and standard deviation over draws and seeds, in [0, 1].

    Attributes:
        mean: NaN = not available.
        std: NaN with one run only.
        runs: number of draws × seeds behind it.
        seeds: number of pre-training seeds among them.
        note: reason of what is missing.
        best: the best of its block.
        off_plateau: pre-training of one of its seeds left its plateau late or never: not ranked.
        predictions: files behind it.
        percent: shown in percent; else as it is.
        low: mean of the lower ends of the 95 % intervals of its runs over test patients.
        high: of the upper ends.
        told: `best` or `second` where tests tell it from all below (see `told_apart`).
    """

    mean: float
    std: float
    runs: int
    note: str | None = None
    best: bool = False
    predictions: tuple[str, ...] = ()
    percent: bool = True
    seeds: int = 1
    off_plateau: bool = False
    low: float = float("nan")
    high: float = float("nan")
    told: str = ""

    @property
    def ranked(self) -> bool:
        """Whether it may be compared with others."""
        return not (np.isnan(self.mean) or self.off_plateau)

    @property
    def anchor(self) -> str:
        """Where the page tells about the first of its runs; its other seeds follow there."""
        return run_anchor(self.predictions[0]) if self.predictions else ""

    @property
    def text(self) -> str:
        """Percent with one decimal, e.g. `81.2 ± 0.4`."""
        if np.isnan(self.mean):
            return NOT_AVAILABLE
        spread = "" if np.isnan(self.std) else f" ± {self.shown(self.std)}"
        return f"{self.shown(self.mean)}{spread}"

    def shown(self, value: float) -> str:
        """Return a number as it is printed: percent with one decimal, or three decimals."""
        return f"{100 * value:.1f}" if self.percent else f"{value:.3f}"


@dataclass
class Block:
    """The rows of one encoder: cells by variant, then by column."""

    encoder: str
    family: str
    heads: tuple[str, ...]
    rows: dict[str, dict[Column, Cell]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Heading of the block."""
        family = family_title(self.family, self.encoder)
        return f"{family} ({self.encoder}; head {', '.join(self.heads)})"


@dataclass
class TaskTable:
    """A table of one task: what it shows, its columns, its blocks, its footnotes in order."""

    task: str
    caption: str
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    footnotes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Title of its task."""
        return find_task(self.task).title

    def mark(self, cell: Cell) -> str:
        """Return the letter of the cell's footnote, or nothing."""
        return self.mark_of(cell.note) if cell.note else ""

    def mark_of(self, note: str) -> str:
        """Return the letter of a footnote."""
        return _letter(self.footnotes.index(note))

    def groups(self) -> list[tuple[str, int]]:
        """Return the headings over the columns and how many columns each covers."""
        headings: list[tuple[str, int]] = []
        for column in self.columns:
            if headings and headings[-1][0] == column.group:
                headings[-1] = (column.group, headings[-1][1] + 1)
            else:
                headings.append((column.group, 1))
        return headings


def share_of_labels(fraction: int) -> str:
    """Return a label fraction for people: `10 %`, or `no labels`."""
    return f"{fraction} %" if fraction else "no labels"


def run_anchor(predictions: str) -> str:
    """Return the HTML id of a run in the page's list of runs."""
    return f"run-{digest(predictions)}"


def _letter(index: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(97 + rest) + letters
    return letters


def task_table(rows: pd.DataFrame, task: str, controls: Collection[str] = ()) -> TaskTable:
    """Return the table of a task.

    Args:
        rows: overall test rows with one metric for each data set; the order of appearance is the
            order of methods, encoders and data sets.
        task: its word.
        controls: variants that compete with no other row, so none of them is the best.
    """
    rows = rows[rows["task"] == task]
    several = _several_heads(rows)
    own = zip(rows["protocol"], rows["dataset"], rows["head"], strict=True)
    heads = [head if (protocol, dataset) in several else "" for protocol, dataset, head in own]
    keyed = rows.assign(column_head=heads, row_name=_row_names(rows))
    names = ["protocol", "dataset", "column_head", "metric", "fraction"]
    unique = keyed[names].drop_duplicates().to_numpy().tolist()
    columns = [Column(str(p), str(d), str(h), str(m), int(f)) for p, d, h, m, f in unique]
    # Reversed, so that the first column of a group decides where the group stands.
    order = {column.group: position for position, column in reversed(list(enumerate(columns)))}
    columns.sort(key=lambda column: (column.protocol, order[column.group], column.fraction))
    parts = [part for _, part in keyed.groupby("encoder", sort=False)]
    blocks = tuple(_block(part, columns, controls) for part in parts)
    notes = [c.note for b in blocks for row in b.rows.values() for c in row.values() if c.note]
    footnotes = tuple(dict.fromkeys(notes))
    return TaskTable(task, caption(keyed, task), tuple(columns), blocks, footnotes)


def _several_heads(rows: pd.DataFrame) -> set[tuple[str, str]]:
    """Return the (protocol, dataset) pairs that one encoder has several heads for."""
    counts = rows.groupby(["protocol", "dataset", "encoder"], sort=False)["head"].nunique()
    return {(str(key[0]), str(key[1])) for key, count in counts.items() if count > 1}  # type: ignore[index]


def _row_names(rows: pd.DataFrame) -> pd.Series:
    """Return the name of each row: the variant, with corpus or budget where it has several."""
    name = rows["variant"].astype(str)
    for extra in ("corpus", "budget"):
        if rows.groupby("variant")[extra].nunique().max() > 1:
            name = name + " · " + rows[extra].astype(str)
    return name


def _block(part: pd.DataFrame, columns: Iterable[Column], controls: Collection[str]) -> Block:
    heads = tuple(dict.fromkeys(part["head"]))
    block = Block(str(part["encoder"].iloc[0]), str(part["family"].iloc[0]), heads)
    columns = list(columns)
    competing = []
    for name, of_row in part.groupby("row_name", sort=False):
        keys = ["protocol", "dataset", "column_head", "metric", "fraction"]
        of_cell = dict(iter(of_row.groupby(keys)))
        block.rows[str(name)] = {c: _cell(of_cell.get(astuple(c)), c) for c in columns}
        if str(of_row["variant"].iloc[0]) not in controls:
            competing.append(block.rows[str(name)])
    for column in columns:
        ranked = [row for row in competing if row[column].ranked]
        metric = find_metric(column.metric)
        sign = -1 if metric.lower_is_better else 1
        # As printed: what reads the same is best together, and all the same is best nowhere.
        shown = {sign * round(row[column].mean, 3) for row in ranked}
        # One seed ranks nothing: another one moves a row by more than most methods do.
        if metric.control or len(shown) < 2 or min(row[column].seeds for row in ranked) < 2:
            continue
        for row in ranked:
            if sign * round(row[column].mean, 3) == max(shown):
                row[column] = replace(row[column], best=True)
    return block


def mean_of(values: "pd.Series[float]") -> float:
    """Return the mean of the values that there are, NaN without any.

    One way for tables and site: other sums end in other last bits, which a rounded half shows.
    """
    known = values.dropna().to_numpy()
    return float(np.mean(known)) if len(known) else float("nan")


def std_of(values: "pd.Series[float]") -> float:
    """Return the standard deviation of the values that there are, NaN below two."""
    known = values.dropna().to_numpy()
    return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")


def _cell(chosen: pd.DataFrame | None, column: Column) -> Cell:
    """Return mean and standard deviation of the runs of one row and column."""
    if chosen is None:
        return Cell(float("nan"), float("nan"), 0, "not run")
    values = chosen["value"].dropna().to_numpy()
    predictions = tuple(dict.fromkeys(map(str, chosen["predictions"])))
    reasons = "; ".join(dict.fromkeys(chosen.loc[chosen["value"].isna(), "note"].dropna()))
    if len(values) == 0:
        nothing = float("nan")
        return Cell(nothing, nothing, 0, reasons or "not defined", predictions=predictions)
    notes = [f"{len(values)} of {len(chosen)} runs; the others: {reasons}"] if reasons else []
    plateau = _plateau(chosen)
    note = "; ".join([*notes, *plateau]) or None
    mean, std = mean_of(chosen["value"]), std_of(chosen["value"])
    percent = find_metric(column.metric).percent
    seeds = int(chosen.loc[chosen["value"].notna(), "seed"].nunique())
    whole = Cell(mean, std, len(values), note, predictions=predictions, percent=percent)
    low, high = (float(chosen[name].mean()) for name in ("low", "high"))
    return replace(whole, seeds=seeds, off_plateau=bool(plateau), low=low, high=high)


def _plateau(rows: pd.DataFrame) -> list[str]:
    """Return the note of pre-trainings that left their plateau late or never, if there are any."""
    if not off_plateau(rows).any():
        return []
    of = rows.drop_duplicates("seed")
    marked = of[off_plateau(of)]["plateau"].value_counts()
    kinds = " and ".join(f"{count} {word}" for word, count in marked.items())
    return [f"plateau of pre-training: {kinds} of {count(len(of), 'seed')}; not ranked"]
