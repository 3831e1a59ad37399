"""Grounding: do maps of a phrase, or of the words of a report, lie on the region they name?

A row is a finding on a film whose true region is known. `phrase`: the map of a sentence that names
the finding; `words`: the maps of the words of the film's own report that name it, which only
methods with a token level have. Every map is compared with the maps of the same text on films of
other patients, so that a habit ("effusion is at the base") does not count as looking.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sista.errors import UserError
from sista.metrics.grounding import Pointing, chance, pointing
from sista.metrics.values import Floats, Value, value
from sista.tasks._arrays import AGAIN, unpack
from sista.tasks._base import Metric, Subset, Task, text

FORMS = {"phrase": "phrase", "words": "words"}
PARTS = {
    "": "maps of the film `[..., P]`, see `_arrays`; empty where there are none",
    "_other": "maps of the same text on films of other patients `[S, ..., P]`",
    "_region": "share of each cell inside the region `[P]`",
}
MEASURES = {
    "hit": "Pointing",
    "precision": "Cell share",
    "mass": "Mass inside",
}


def _metrics() -> Iterator[Metric]:
    for measure, title in MEASURES.items():
        for form, name in FORMS.items():
            controls = (f"{measure}_{form}_other_film", f"{measure}_{form}_chance")
            yield Metric(f"{measure}_{form}", f"{title}, {name}", controls=controls)
            other = f"{title}, {name}, other film"
            yield Metric(controls[0], other, control=True)
            yield Metric(controls[1], f"{title}, {name}, chance", control=True)


def _evaluate(subset: Subset) -> Iterator[Value]:
    rows = subset.rows
    images = {image: n for n, image in enumerate(dict.fromkeys(rows["image_id"]))}
    weights = subset.weights[:, [images[image] for image in rows["image_id"]]]
    labels = rows["label"].to_numpy()
    groups = {"all": np.ones(len(rows), bool)}
    groups |= {str(label): labels == label for label in sorted(set(labels))}
    for metric, values in _measured(rows).items():
        if subset.wants(metric):
            for group, chosen in groups.items():
                known = chosen & ~np.isnan(values)
                drawn = weights[:, known]
                with np.errstate(invalid="ignore", divide="ignore"):
                    means = drawn @ values[known] / drawn.sum(1)
                why = "the method has no such map" if chosen.any() else "no region"
                yield value(metric, group, means, int(known.sum()), why)


def _measured(rows: pd.DataFrame) -> dict[str, Floats]:
    """Return each metric for every row, `[N]`; NaN without a map or where no region is in sight."""
    by_metric: dict[str, list[float]] = {metric.word: [] for metric in _metrics()}
    for row in rows.to_dict("records"):
        for form in FORMS:
            scored = _form(*(str(row[f"{form}{part}"]) for part in ("", "_other", "_region")))
            for ending, measures in scored.items():
                for measure, level in measures.items():
                    by_metric[f"{measure}_{form}{ending}"].append(level)
    return {metric: np.array(values) for metric, values in by_metric.items()}


def _form(own: str, other: str, region: str) -> dict[str, dict[str, float]]:
    """Return the measures of one form of map by ending of the metric's word.

    Args:
        own: packed maps of the film, `[..., P]`; empty without any.
        other: of other patients' films, `[S, ..., P]`.
        region: share of each cell inside the region, `[P]`.
    """
    share = unpack(region) if own else np.zeros(1)
    if not share.any():
        nothing = dict.fromkeys(MEASURES, np.nan)
        return {"": nothing, "_other_film": nothing, "_chance": nothing}
    maps, others = unpack(own), unpack(other)
    if not maps.shape[-1:] == others.shape[-1:] == share.shape:
        shapes = f"{maps.shape}, {others.shape} and {share.shape}"
        raise UserError(f"maps and region of shapes {shapes}; {AGAIN}")
    return {
        "": _measures(pointing(maps, share)),
        "_other_film": _measures(pointing(others, share)),
        "_chance": _measures(chance(share)),
    }


def _measures(scored: Pointing) -> dict[str, float]:
    """Return the mean over maps; an empty map has no mass, and does not hide that of the others."""
    return {measure: _known_mean(getattr(scored, measure)) for measure in MEASURES}


def _known_mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


grounding = Task(
    word="grounding",
    title="Grounding",
    columns={
        "label": text("finding whose region is known"),
        **{f"{form}{part}": text(what) for form in FORMS for part, what in PARTS.items()},
    },
    metrics=tuple(_metrics()),
    evaluate=_evaluate,
    overall="all",
    also=("hit_words",),
)
