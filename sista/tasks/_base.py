"""What a task file defines: columns of its predictions, its metrics, their evaluation, its picture.

A task is found by its word, like a method or a head; whatever scores, draws or lists results asks
the task and knows no word of one. Read by planning, so without torch.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import pandera.pandas as pa

from sista import registry
from sista.errors import UserError
from sista.metrics.values import Floats, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sista.preparation.frame import Frame


def text(description: str, nullable: bool = False) -> pa.Column:
    """Return a column of text in a predictions table."""
    return pa.Column(object, nullable=nullable, coerce=True, description=description)


def number(description: str, nullable: bool = False, checks: pa.Check | None = None) -> pa.Column:
    """Return a column of numbers in a predictions table."""
    return pa.Column(float, nullable=nullable, coerce=True, description=description, checks=checks)


@dataclass(frozen=True)
class Metric:
    """A number that a task is scored with.

    Attributes:
        word: in scores, tables and addresses.
        title: in tables for people.
        lower_is_better: decides what is bold.
        percent: a share, shown in percent; else shown as it is.
        control: no merit of the method, but what others are compared with.
        controls: words of metrics that this one must beat to mean anything, e.g. its value by
            chance. They are worked out where no label was used (a trained head is compared with
            other rows); tables show them beside it, and it is tested against them.
    """

    word: str
    title: str
    lower_is_better: bool = False
    percent: bool = True
    control: bool = False
    controls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subset:
    """The predictions of one subset, draw and fraction, and what the metrics need to know.

    Attributes:
        rows: of the predictions table, sorted by image.
        labels: classes, in order.
        multiclass: the classes exclude each other.
        dataset: word of the data set, without origin.
        fraction: percent of the labels; 0 = no label was used.
        weights: `[1 + B, n]` how often each image counts, images in the order of `rows`: once, then
            as drawn by the bootstrap over patients.
        only: restrict to this metric; None = all.
    """

    rows: pd.DataFrame
    labels: tuple[str, ...]
    multiclass: bool
    dataset: str
    fraction: int
    weights: Floats
    only: str | None = None

    def wants(self, metric: str) -> bool:
        """Return whether a metric is asked for."""
        return self.only in (None, metric)


@dataclass(frozen=True)
class Overlay:
    """How predictions of a task are drawn over a film.

    Attributes:
        size: gives the size of a row's target in any unit, 0 = nothing to show.
        draw: draws target and prediction of a row on axes that show the prepared film.
        note: what the caption adds.
    """

    size: Callable[[Mapping[Any, Any]], float]
    draw: "Callable[[Axes, Mapping[Any, Any], Frame], None]"
    note: str = ""


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        word: the file's name.
        title: in headings.
        columns: of its predictions table, beside those that all have.
        metrics: all of them; the first is the main one where a protocol names none.
        evaluate: yields the values of one subset.
        overall: label of the values over all classes.
        also: further metrics that stand in the main table with their controls, and are tested.
        exclusive_main: takes the place of the main metric where classes exclude each other.
        overlay: how films are drawn; None = they are not.
    """

    word: str
    title: str
    columns: Mapping[str, pa.Column]
    metrics: tuple[Metric, ...]
    evaluate: Callable[[Subset], Iterator[Value]]
    overall: str = "macro"
    also: tuple[str, ...] = ()
    exclusive_main: str = ""
    overlay: Overlay | None = None
    _by_word: Mapping[str, Metric] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a control that the task has no metric for."""
        by_word = {metric.word: metric for metric in self.metrics}
        for metric in self.metrics:
            for control in metric.controls:
                if control not in by_word or not by_word[control].control:
                    raise ValueError(f"task {self.word}: {metric.word}: no control {control!r}")
        object.__setattr__(self, "_by_word", by_word)

    def tested(self, main: str) -> tuple[str, ...]:
        """Return the metrics that are tested against baselines and controls, the main one first."""
        return (main, *(word for word in self.also if word != main))

    def shown(self, main: str, fraction: int) -> tuple[str, ...]:
        """Return the tested metrics and, where no label was used, their controls."""
        tested = self.tested(main)
        controls = (c for word in tested for c in self.metric(word).controls if not fraction)
        return tuple(dict.fromkeys((*tested, *controls)))

    def metric(self, word: str) -> Metric:
        """Return a metric by its word; an unknown word is answered with the valid ones."""
        if word not in self._by_word:
            valid = ", ".join(self._by_word)
            raise UserError(f"task {self.word} has no metric {word!r}; valid: {valid}")
        return self._by_word[word]

    def main_metric(self, wanted: str, multiclass: bool) -> str:
        """Return the main metric's word: the protocol's, or that of classes that exclude."""
        chosen = self.exclusive_main if multiclass and self.exclusive_main else wanted
        return self.metric(chosen).word


def find_task(word: str) -> Task:
    """Return the task of this word; an unknown word is answered with the valid ones."""
    task: Task = registry.find("tasks", word)
    return task


@cache
def find_metric(word: str) -> Metric:
    """Return a metric of any task; one of no task, as in scores of another version, as it is."""
    for name in registry.names("tasks"):
        for metric in find_task(name).metrics:
            if metric.word == word:
                return metric
    return Metric(word, word)
