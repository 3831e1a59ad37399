"""Retrieval: films find reports and reports find films among the studies of one subset.

A query is a hit at k where an item that says the same is among the first k. `exact`: the film's own
report alone says the same (films of one study share it); `same findings`: any report with the same
finding labels does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sista.errors import UserError
from sista.metrics.retrieval import chance_recall, first_relevant_rank, same_findings
from sista.metrics.swaps import other_patients
from sista.metrics.values import Floats, Value, value
from sista.tasks._arrays import AGAIN, unpack_equal
from sista.tasks._base import Metric, Subset, Task, number, text
from sista.tasks._rows import is_number, read_list

RANKS = (1, 5, 10)
DIRECTIONS = ("film_to_report", "report_to_film")
# Films of other patients that each film is replaced by, for the control.
SWAPS = 8


def _metrics() -> Iterator[Metric]:
    for k in (5, 1, 10):
        controls = (f"recall_{k}_other_film", f"recall_{k}_chance")
        yield Metric(f"recall_{k}", f"R@{k}", controls=controls)
        yield Metric(controls[0], f"R@{k}, other film", control=True)
        yield Metric(controls[1], f"R@{k}, chance", control=True)
    for k in RANKS:
        yield Metric(f"film_to_report_{k}", f"R@{k}, film to report")
        yield Metric(f"report_to_film_{k}", f"R@{k}, report to film")
        chance = f"same_findings_{k}_chance"
        yield Metric(f"same_findings_{k}", f"R@{k}, same findings", controls=(chance,))
        yield Metric(chance, f"R@{k}, same findings, chance", control=True)


@dataclass(frozen=True)
class _Gallery:
    """Studies that find each other: `[N, N]` cosines of film i and report j, and what is alike."""

    scores: Floats
    exact: NDArray[np.bool_]
    alike: NDArray[np.bool_]
    others: NDArray[np.int64]
    groups: dict[str, NDArray[np.bool_]]


def _gallery(rows: pd.DataFrame) -> _Gallery:
    # One array: films and reports lie in one space.
    films, reports = np.split(unpack_equal([*rows["film"], *rows["report"]]), 2)
    study = rows["study_id"].to_numpy()
    exact = study[:, None] == study[None]
    findings = [read_list(cell) for cell in rows["findings"]]
    known = all(label is None or is_number(label) for labels in findings for label in labels)
    if not known or len({len(labels) for labels in findings}) != 1:
        raise UserError(f"findings that are no equally long lists of labels; {AGAIN}")
    labels = np.array(findings, dtype=float)
    normal = rows["normal"].to_numpy(dtype=float) > 0
    groups = {"all": np.ones(len(rows), bool), "normal": normal, "abnormal": ~normal}
    patients = rows["patient_id"].to_numpy()
    # Films of one patient alone have no control; its value is then undefined.
    others = other_patients(patients, SWAPS if len(set(patients)) > 1 else 0)
    return _Gallery(_cosines(films, reports), exact, exact | same_findings(labels), others, groups)


def _cosines(films: Floats, reports: Floats) -> Floats:
    """Return `[N, N]` cosines; those of equal vectors are equal to the last bit.

    Equal reports tie. In one product of all vectors their last bits depend on their place and on
    where the arrays lie in memory, so that chance would decide which of them comes first.
    """
    (left, rows), (right, columns) = (
        np.unique(vectors, axis=0, return_inverse=True) for vectors in (films, reports)
    )
    cosines: Floats = (left @ right.T)[np.ix_(rows.ravel(), columns.ravel())]
    return cosines


def _evaluate(subset: Subset) -> Iterator[Value]:
    gallery = _gallery(subset.rows)
    for metric, hits in _hits(gallery):
        if subset.wants(metric):
            for group, chosen in gallery.groups.items():
                drawn = subset.weights[:, chosen]
                with np.errstate(invalid="ignore", divide="ignore"):
                    values = drawn @ hits[chosen] / drawn.sum(1)
                yield value(metric, group, values, int(chosen.sum()), f"no {group} study")


def _hits(gallery: _Gallery) -> Iterator[tuple[str, Floats]]:
    """Yield each metric with its value for every study, `[N]`."""
    own, alike = (_ranks(gallery.scores, said) for said in (gallery.exact, gallery.alike))
    swapped = [_ranks(gallery.scores[films], gallery.exact) for films in gallery.others]
    for k in RANKS:
        yield f"recall_{k}", (own <= k).mean(0)
        controls = [(ranks <= k).mean(0) for ranks in swapped] or [np.full(own.shape[1], np.nan)]
        yield f"recall_{k}_other_film", np.mean(controls, axis=0)
        yield f"recall_{k}_chance", _chance(gallery.exact, k)
        for direction, ranks in zip(DIRECTIONS, own, strict=True):
            yield f"{direction}_{k}", (ranks <= k).astype(float)
        yield f"same_findings_{k}", (alike <= k).mean(0)
        yield f"same_findings_{k}_chance", _chance(gallery.alike, k)


def _ranks(scores: Floats, relevant: NDArray[np.bool_]) -> Floats:
    """Return ranks `[2, N]` of the first item that says the same: film to report, and back."""
    both = (first_relevant_rank(scores, relevant), first_relevant_rank(scores.T, relevant))
    ranks: Floats = np.stack(both)
    return ranks


def _chance(relevant: NDArray[np.bool_], k: int) -> Floats:
    # What says the same is symmetric, so both directions have the same chance.
    return chance_recall(relevant, k)


retrieval = Task(
    word="retrieval",
    title="Retrieval",
    columns={
        "study_id": text("films of one study share their report"),
        "film": text("unit vector of the film, see `_arrays`"),
        "report": text("unit vector of its report, likewise"),
        "findings": text("JSON list: 1 present, -1 uncertain, 0 absent, null unknown"),
        "normal": number("1 for a study without a finding, else 0"),
    },
    metrics=tuple(_metrics()),
    evaluate=_evaluate,
    overall="all",
)
