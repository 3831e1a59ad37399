"""Figures in words, for those who listen to a page: what stands in place of a picture."""

import numpy as np
import pandas as pd

from sista.report.captions import count
from sista.report.cells import share_of_labels
from sista.tasks._base import find_metric

# More variants than these are no text to listen to.
MOST_TOLD = 8
LOSSES = "Curves of the loss of pre-training by epoch, a panel for each variant and encoder."


def shown_number(metric: str, value: float, sign: str = "") -> str:
    """Return a number of a metric as the tables print it, with its sign where asked for (`+`)."""
    if np.isnan(value):
        return ""
    return f"{100 * value:{sign}.1f}" if find_metric(metric).percent else f"{value:{sign}.3f}"


def curves_told(rows: pd.DataFrame) -> str:
    """Return the numbers of curves as text: means by share of labels, the highest last first."""
    parts = []
    keys = ["dataset", "metric", "encoder"]
    for (dataset, metric, encoder), part in rows.groupby(keys, sort=False):  # type: ignore[misc]
        means = part.pivot_table("value", "variant", "fraction", sort=False).sort_index(axis=1)
        means = means.sort_values(means.columns[-1], ascending=False) if len(means) else means
        told = [
            f"{variant} {', '.join(shown_number(str(metric), v) or 'n/a' for v in values)}"
            for variant, values in zip(means.index[:MOST_TOLD], means.to_numpy(), strict=False)
        ]
        shares = ", ".join(share_of_labels(int(fraction)) for fraction in means.columns)
        title = find_metric(str(metric)).title
        parts.append(f"{title} on {dataset}, {encoder}, at {shares}: {'; '.join(told)}.")
    return " ".join(parts)


def tests_told(tests: pd.DataFrame) -> str:
    """Return what the tests of a figure tell apart."""
    sure = tests[tests["p_holm"] < 0.05]
    start = f"{count(len(tests), 'paired difference')}, {len(sure)} of them told from 0"
    named = [
        f"{t['variant']} on {t['dataset']} at {share_of_labels(int(t['fraction']))} "
        f"{shown_number(str(t['metric']), t['difference'], '+')}"
        for t in sure.head(MOST_TOLD).to_dict("records")
    ]
    return f"{start}{': ' * bool(named)}{'; '.join(named)}."


def ranks_told(ranks: pd.Series) -> str:
    """Return mean ranks as text, the best first."""
    return f"Mean ranks: {', '.join(f'{name} {rank:.2f}' for name, rank in ranks.items())}."
