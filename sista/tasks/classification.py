"""Classification: a probability for each finding of each image, multi-label or multi-class."""

from collections.abc import Iterator

import numpy as np

from sista.metrics import classification as measures
from sista.metrics.values import Floats, Value, mean, value
from sista.tasks._base import Metric, Subset, Task, number, text

METRICS = (
    Metric("auroc", "AUROC"),
    Metric("auprc", "AUPRC"),
    Metric("accuracy", "Accuracy"),
    Metric("f1", "F1"),
    Metric("brier", "Brier score", lower_is_better=True),
    Metric("ece", "Calibration error", lower_is_better=True),
)


def _evaluate(subset: Subset) -> Iterator[Value]:
    table = subset.rows.pivot(index="image_id", columns="label", values=["score", "target"])
    labels = list(subset.labels)
    score = table["score"][labels].to_numpy(dtype=np.float64)
    target = table["target"][labels].to_numpy(dtype=np.float64)
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


classification = Task(
    word="classification",
    title="Classification",
    columns={"label": text(), "score": number(), "target": number(nullable=True)},
    metrics=METRICS,
    evaluate=_evaluate,
    # AUROC of classes that exclude each other is not what papers of COVIDx print.
    exclusive_main="accuracy",
)
