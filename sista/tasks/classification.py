"""Classification: a probability for each finding of each image, multi-label or multi-class."""

from collections.abc import Iterator

import numpy as np
import pandera.pandas as pa

from sista.errors import UserError
from sista.metrics import classification as measures
from sista.metrics.swaps import other_patients
from sista.metrics.values import Floats, Value, mean, value
from sista.tasks._arrays import AGAIN
from sista.tasks._base import Metric, Subset, Task, number, text
from sista.tasks._rows import check_labels

# Films of other patients that each film is replaced by, for the control of what uses no label.
SWAPS = 8
# Probabilities of several classes may add up to a little more than 1.
ROUNDING = 1e-6
OTHER_FILM, CHANCE = "_other_film", "_chance"
METRICS = (
    Metric("auroc", "AUROC", controls=(f"auroc{OTHER_FILM}", f"auroc{CHANCE}")),
    Metric("auprc", "AUPRC"),
    Metric("accuracy", "Accuracy", controls=(f"accuracy{OTHER_FILM}",)),
    Metric("f1", "F1"),
    Metric("brier", "Brier score", lower_is_better=True),
    Metric("ece", "Calibration error", lower_is_better=True),
)
CONTROLS = (
    Metric(f"auroc{OTHER_FILM}", "AUROC, other film", control=True),
    Metric(f"auroc{CHANCE}", "AUROC, chance", control=True),
    Metric(f"accuracy{OTHER_FILM}", "Accuracy, other film", control=True),
)


def _evaluate(subset: Subset) -> Iterator[Value]:
    check_labels(subset.rows, subset.labels)
    table = subset.rows.pivot(index="image_id", columns="label", values=["score", "target"])
    labels = list(subset.labels)
    score = table["score"][labels].to_numpy(dtype=np.float64)
    target = table["target"][labels].to_numpy(dtype=np.float64)
    if subset.multiclass and (np.nansum(target, axis=1) > 1).any():
        raise UserError(f"an image of two classes that exclude each other; {AGAIN}")
    highest = score == score.max(axis=1, keepdims=True)
    chosen = highest & (np.cumsum(highest, axis=1) == 1)
    for metric in (metric.word for metric in METRICS if subset.wants(metric.word)):
        if metric == "accuracy" and subset.multiclass:
            values = measures.accuracy_multiclass(target, score, subset.weights)
            yield value(metric, "all", values, len(score), "no image has a label")
            continue
        function = getattr(measures, metric)
        # One class of several is predicted where it has the highest probability.
        shown = chosen.astype(np.float64) if subset.multiclass and metric == "f1" else score
        parts: list[Floats] = []
        for column, label in enumerate(labels):
            truth = target[:, column]
            known = truth[~np.isnan(truth)]
            why = f"{int(known.sum())} positive among {len(known)} labelled images"
            parts.append(function(truth, shown[:, column], subset.weights))
            yield value(metric, label, parts[-1], len(known), why)
        yield value(metric, "macro", mean(parts), len(score), "not defined for any class")
    if subset.fraction == 0 and subset.only is None:
        yield from _controls(subset, score, target)


def _controls(subset: Subset, score: Floats, target: Floats) -> Iterator[Value]:
    """Yield what the scores of other patients' films and equal scores give.

    A head that uses no label has nothing else to be compared with; one that is trained has.
    """
    patients = subset.rows.drop_duplicates("image_id")["patient_id"].to_numpy()
    swaps = other_patients(patients, SWAPS if len(set(patients)) > 1 else 0)
    why = "not defined for any class"

    def auroc(shown: Floats) -> Floats:
        columns = range(target.shape[1])
        return mean([measures.auroc(target[:, c], shown[:, c], subset.weights) for c in columns])

    def accuracy(shown: Floats) -> Floats:
        return measures.accuracy_multiclass(target, shown, subset.weights)

    name, function = ("accuracy", accuracy) if subset.multiclass else ("auroc", auroc)
    overall = "all" if subset.multiclass else "macro"
    if len(swaps):
        values = np.mean([function(score[films]) for films in swaps], axis=0)
        yield value(f"{name}{OTHER_FILM}", overall, values, len(score), why)
    if not subset.multiclass:
        yield value(f"auroc{CHANCE}", "macro", auroc(np.zeros_like(score)), len(score), why)


classification = Task(
    word="classification",
    title="Classification",
    columns={
        "label": text("name of the finding"),
        "score": number("probability, 0 to 1", checks=pa.Check.in_range(0.0, 1.0 + ROUNDING)),
        "target": number(
            "1 present, 0 absent, NaN unknown", nullable=True, checks=pa.Check.isin([0.0, 1.0])
        ),
    },
    metrics=(*METRICS, *CONTROLS),
    evaluate=_evaluate,
    # AUROC of classes that exclude each other is not what papers of COVIDx print.
    exclusive_main="accuracy",
)
