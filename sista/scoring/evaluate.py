"""Values and bootstrap intervals of all metrics of one task, from the predictions of one subset."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sista.errors import UserError
from sista.metadata import data_word
from sista.metrics.intervals import patient_weights
from sista.metrics.values import Value
from sista.tasks._arrays import AGAIN
from sista.tasks._base import Subset, find_task


def evaluate(
    task: str,
    part: pd.DataFrame,
    *,
    labels: Sequence[str],
    multiclass: bool,
    dataset: str,
    bootstrap: int,
    fraction: int = 100,
    only: str | None = None,
) -> Iterator[Value]:
    """Yield all metrics of one subset, draw and fraction.

    Args:
        task: word of the task.
        part: rows of a predictions table of this task, of one subset, draw and fraction.
        labels: classes, in order.
        multiclass: the classes exclude each other.
        dataset: reference of the data set; some metrics are of one data set.
        bootstrap: replicates over patients for the intervals; 0 = values only.
        fraction: percent of the labels; 0 = none was used.
        only: restrict to this metric.

    Raises:
        UserError: an image stands twice, or the task finds a fault.
    """
    row_key = ["image_id", *(["label"] if "label" in part else [])]
    twice = part[part.duplicated(row_key)]
    if not twice.empty:
        raise UserError(f"two rows of {' and '.join(map(str, twice[row_key].iloc[0]))}; {AGAIN}")
    # Equal images in equal order give equal weights, so methods are compared on the same samples.
    part = part.sort_values("image_id", kind="stable")
    patients = part.drop_duplicates("image_id")["patient_id"].tolist()
    weights = np.ones((1 + bootstrap, len(patients)))
    weights[1:] = patient_weights(patients, bootstrap)
    word = data_word(dataset)
    subset = Subset(part, tuple(labels), multiclass, word, fraction, weights, only)
    yield from find_task(task).evaluate(subset)
