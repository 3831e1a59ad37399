"""Verb `retrieve`: films find reports and reports find films, normal and abnormal studies apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from sista.engine.interface import required
from sista.engine.pairs import NO_DISEASE, NO_FINDING, Pairs
from sista.engine.restored import restore
from sista.errors import UserError
from sista.files import atomic
from sista.metrics.intervals import paired_bootstrap_p, patient_weights, percentile_interval
from sista.metrics.retrieval import chance_recall, recall_at, same_findings

RANKS = (1, 5, 10)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gallery:
    """Studies that find each other.

    Attributes:
        scores: `[N, N]` cosine of film i and report j.
        study: `[N]` study of each film; films of one study share their report.
        patient: `[N]`.
        labels: `[N, C]` findings, see `same_findings`.
        normal: `[N]` studies without a finding.
    """

    scores: Floats
    study: NDArray[Any]
    patient: NDArray[Any]
    labels: Floats
    normal: NDArray[np.bool_]


def main(
    *,
    encoder: Path,
    manifest: Path,
    split: Path,
    out: Path,
    against: Path | None = None,
    subset: str = "val",
    replicates: int = 2000,
    threads: int = 1,
) -> None:
    """Score retrieval R@1, 5 and 10 both ways with intervals, against chance and another encoder.

    `exact`: only the film's own report counts; `same_findings`: any report with the same finding
    labels does too.

    Args:
        encoder: checkpoint of a method with a text encoder.
        manifest: of a prepared data set with reports.
        split: its split.
        out: table to write (CSV).
        against: another checkpoint on the same studies, for a paired test.
        subset: val; no choice may rest on test.
        replicates: of the bootstrap over patients.
        threads: CPU threads.
    """
    torch.set_num_threads(threads)
    gallery = _gallery(encoder, manifest, split, subset)
    other = None if against is None else _gallery(against, manifest, split, subset)
    scored = score(gallery, other, replicates)
    with atomic(out) as temporary:
        scored.to_csv(temporary, index=False, float_format="%.4f")
    show(scored)


def score(gallery: Gallery, other: Gallery | None = None, replicates: int = 2000) -> pd.DataFrame:
    """Return one row for each relevance, direction, group of queries and rank.

    Args:
        gallery: what is scored.
        other: the same studies embedded by another method.
        replicates: of the bootstrap over patients.

    Raises:
        UserError: the two galleries hold different studies.
    """
    if other is not None and not np.array_equal(gallery.study, other.study):
        raise UserError("the two encoders were not shown the same studies")
    weights = patient_weights(list(gallery.patient.astype(str)), replicates)
    rows = []
    for known, relevant, direction in _questions(gallery):
        for k in RANKS:
            hits = recall_at(_turned(gallery.scores, direction), relevant, k)
            chance = chance_recall(relevant, k)
            compared = None
            if other is not None:
                compared = recall_at(_turned(other.scores, direction), relevant, k)
            for group, chosen in _groups(gallery):
                line = _line(hits, chance, compared, weights, chosen)
                count = len(set(gallery.patient[chosen]))
                rows.append({**known, "group": group, "k": k, **line, "patients": count})
    return pd.DataFrame(rows)


def _turned(scores: Floats, direction: str) -> Floats:
    return scores if direction == "image_to_report" else scores.T


def _questions(gallery: Gallery) -> Iterator[tuple[dict[str, str], NDArray[np.bool_], str]]:
    exact = gallery.study[:, None] == gallery.study[None]
    for relevance, relevant in (
        ("exact", exact),
        ("same_findings", exact | same_findings(gallery.labels)),
    ):
        for direction in ("image_to_report", "report_to_image"):
            yield {"relevance": relevance, "direction": direction}, relevant, direction


def _groups(gallery: Gallery) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "all", np.ones_like(gallery.normal)
    for name, rows in (("normal", gallery.normal), ("abnormal", ~gallery.normal)):
        if rows.any():
            yield name, rows


def _line(
    hits: Floats,
    chance: Floats,
    compared: Floats | None,
    weights: Floats,
    chosen: NDArray[np.bool_],
) -> dict[str, Any]:
    drawn = weights[:, chosen]
    total = drawn.sum(1)

    def replicates(values: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = drawn @ values[chosen] / total
        return found

    low, high = percentile_interval(replicates(hits))
    line: dict[str, Any] = {"n": int(chosen.sum()), "value": hits[chosen].mean()}
    line |= {"low": low, "high": high, "chance": chance[chosen].mean()}
    line["chance_p"] = paired_bootstrap_p(replicates(hits - chance))
    if compared is not None:
        low, high = percentile_interval(replicates(hits - compared))
        line |= {"against": compared[chosen].mean(), "difference": (hits - compared)[chosen].mean()}
        line |= {"difference_low": low, "difference_high": high}
        line["difference_p"] = paired_bootstrap_p(replicates(hits - compared))
    return line


def _gallery(encoder: Path, manifest: Path, split: Path, subset: str) -> Gallery:
    run = restore(encoder)
    pairs, table = run.studies(manifest, split, subset)
    e = run.embed(pairs, table)
    image, report = (functional.normalize(required(v), dim=1) for v in (e.image, e.report))
    return Gallery((image @ report.T).double().numpy(), *_studies(pairs))


def _studies(pairs: Pairs) -> tuple[NDArray[Any], NDArray[Any], Floats, NDArray[np.bool_]]:
    frame = pairs.frame
    names = pairs.label_names
    disease = [n for n, name in enumerate(names) if name not in (NO_FINDING, *NO_DISEASE)]
    # A normal study often says so in one label and leaves the others blank.
    known = ~np.isnan(pairs.labels).all(1, keepdims=True)
    labels = np.where(known, np.nan_to_num(pairs.labels), np.nan)[:, disease]
    study = frame["study_id"].fillna(frame["image_id"]).astype(str).to_numpy()
    return study, frame["patient_id"].astype(str).to_numpy(), labels, pairs.normal


def show(scored: pd.DataFrame) -> None:
    """Print the rows over all queries and the two groups."""
    names = ("relevance", "direction", "group")
    grid = Table(*names, "k", "R@k", "chance", "against", "p", box=None)
    for row in scored.to_dict("records"):
        span = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        against, p = row.get("against"), row.get("difference_p", row["chance_p"])
        told = "" if against is None else f"{against:.3f}"
        cells = [*(str(row[name]) for name in names), str(row["k"]), span, f"{row['chance']:.3f}"]
        grid.add_row(*cells, told, f"{p:.4f}")
    Console(width=160).print(grid)
