"""One metric of one subset with its bootstrap replicates, and the mean over classes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sista.metrics.intervals import percentile_interval

Floats = NDArray[np.float64]
Metric = Callable[[Floats], Floats]
# Labels of the values over all classes.
OVERALL = ("macro", "all")


@dataclass(frozen=True)
class Value:
    """One metric of one subset: of a class, or over all classes (`macro`, `all`)."""

    metric: str
    label: str
    value: float
    low: float
    high: float
    n: int
    note: str | None
    replicates: Floats


def value(metric: str, label: str, values: Floats, n: int, why_undefined: str) -> Value:
    """Return a value with its 95 % interval.

    Args:
        metric: its word.
        label: of the class, or one of `OVERALL`.
        values: `[1 + B]` the value followed by its replicates.
        n: images behind it.
        why_undefined: the note of a value that is NaN.
    """
    low, high = percentile_interval(values[1:])
    undefined = bool(np.isnan(values[0]))
    return Value(
        metric,
        label,
        float(values[0]),
        float("nan") if undefined else low,
        float("nan") if undefined else high,
        n,
        why_undefined if undefined else None,
        values[1:],
    )


def mean(parts: list[Floats]) -> Floats:
    """Return the mean over the classes that are defined in the whole sample; else NaN."""
    # A class that the whole sample leaves undefined is left out of every replicate too.
    stacked = np.stack([p for p in parts if not np.isnan(p[0])] or parts)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    result: Floats = np.full(total.shape, np.nan)
    np.divide(total, count, out=result, where=count > 0)
    return result
