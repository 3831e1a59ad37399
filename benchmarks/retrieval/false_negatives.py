"""Precision and recall of SIA's cut: do the pairs above theta truly show the same findings?

The truth is what the phantom drew. Run for validation studies:
`python -m benchmarks.retrieval.false_negatives --corpus results/prepare/mimic_cxr@phantom
--truth results/fetch/mimic_cxr@phantom/raw`.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from sista import registry
from sista.engine.corpus import Corpus
from sista.engine.pairs import load_pairs
from sista.grid.budgets import find_budget
from sista.metrics.retrieval import CutQuality, cut_quality
from sista.phantom.truth import FILE
from sista.text.report_encoders import encode
from sista.text.similarity import ReportText, similarity

ENCODERS = [
    ("tfidf", "raw"),
    ("tfidf", "cleaned"),
    ("minilm", "raw"),
    ("minilm", "cleaned"),
    ("labels", "cleaned"),
]


def drawn_findings(truth: Path, images: list[str], sides: bool) -> NDArray[np.bool_]:
    """Return which findings each film shows, `[N, C]`.

    Args:
        truth: folder of the raw phantom.
        images: N image ids.
        sides: left and right count as different findings.
    """
    marks = pd.read_parquet(truth / FILE, columns=["image_id", "finding", "side"])
    names = marks["finding"] + (":" + marks["side"] if sides else "")
    shown = pd.crosstab(marks["image_id"], names) > 0
    found: NDArray[np.bool_] = shown.reindex(images, fill_value=False).to_numpy(bool)
    return found


def per_batch(found: CutQuality, batch: int) -> dict[str, float]:
    """Return what a report meets among the other `batch - 1` of a random batch, on average.

    `false_negatives`: studies that show the same; `removed`: those of them that are cut;
    `wrongly_removed`: studies that show something else and are cut.
    """
    others = batch - 1
    cut, same = others * found.cut, others * found.same
    removed = same * (found.recall if found.same else 0.0)
    return {
        "false_negatives": same,
        "removed": removed,
        "wrongly_removed": max(cut - removed, 0.0),
    }


def table(
    corpus: Path,
    truth: Path,
    encoders: list[tuple[str, str]],
    thetas: list[float],
    batch: int = find_budget("quick").batch,
) -> pd.DataFrame:
    """Return one row for each encoder, text, theta, truth and group of rows.

    Args:
        corpus: folder of the prepared corpus.
        truth: folder of the raw phantom.
        encoders: word of the report encoder and form of the text.
        thetas: cuts.
        batch: pairs in a batch, for the counts of `per_batch`.
    """
    manifest = corpus / "manifest.parquet"
    split = corpus / "manifest.split.parquet"
    pairs = load_pairs(Corpus(manifest, split), subset="val", size=32, text=True)
    # One film a study: a second film has the same report, which no cut should be praised for.
    first = ~pairs.frame["study_id"].duplicated().to_numpy()
    images = list(pairs.frame["image_id"][first])
    reports = list(pairs.frame["report"][first])
    rows = []
    for encoder, text in encoders:
        form: ReportText = "raw" if text == "raw" else "cleaned"
        vectors = encode(encoder, reports, pairs.labels[first], form)
        alike = similarity(vectors, np.arange(len(reports))).astype(np.float64)
        for sides in (False, True):
            shown = drawn_findings(truth, images, sides)
            same = np.all(shown[:, None] == shown[None], axis=-1)
            normal = ~shown.any(1)
            groups = {"all": np.ones_like(normal), "normal": normal, "abnormal": ~normal}
            for theta in thetas:
                known = {"similarity": encoder, "r_text": text, "theta": theta, "sides": sides}
                for group, found in cut_quality(alike, same, theta, groups).items():
                    line = found._asdict()
                    rows.append({**known, "rows": group, **line, **per_batch(found, batch)})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the rows of the shipped cut and write all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--thetas", type=float, nargs="*", default=[0.5, 0.7, 0.8, 0.9, 0.95])
    parser.add_argument("--out", type=Path, help="CSV to write")
    given = parser.parse_args()
    shipped = registry.settings("methods", "sista")
    theta = float(shipped["theta"].default)
    word, text = shipped["similarity"].default, shipped["r_text"].default
    encoders = list(dict.fromkeys([(word, text), *ENCODERS]))
    found = table(given.corpus, given.truth, encoders, sorted({theta, *given.thetas}))
    shown = Table(
        "similarity", "text", "theta", "sides", "rows", "cut", "same", "prec.", "recall", box=None
    )
    ours = found[(found["similarity"] == word) & (found["r_text"] == text)]
    for row in ours[ours["theta"] == theta].to_dict("records"):
        numbers = [f"{row[name]:.3f}" for name in ("cut", "same", "precision", "recall")]
        names = [str(row[n]) for n in ("similarity", "r_text", "theta", "sides", "rows")]
        shown.add_row(*names, *numbers)
    Console(width=120).print(shown)
    if given.out is not None:
        found.to_csv(given.out, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
