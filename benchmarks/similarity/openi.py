"""Which report encoder and cut find reports that say the same? On the real Open-i reports.

    python benchmarks/similarity/openi.py --labels GOLD.csv --out results/released/similarity

Reports come from the torchxrayvision wheel, gold findings from NegBio's file. Only scores and plots
are written. Settings are chosen on one half of the reports and confirmed on the other.
"""

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sista.files import atomic, write_json
from sista.metrics.report_pairs import bootstrap_weights, f_score, score_cut
from sista.report.corpus_similarity import draw_distributions, draw_trade_off
from sista.runs.progress import track
from sista.text.cleaning import for_pretraining
from sista.text.openi import read_reports
from sista.text.report_encoders import encode
from sista.text.similarity import similarity

HALVES = ("choose", "confirm")
FORMS = (
    ("tfidf", "raw"),
    ("tfidf", "cleaned"),
    ("minilm", "raw"),
    ("minilm", "cleaned"),
    ("minilm:cls", "cleaned"),
    ("rule_labels", "cleaned"),
)
THETAS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.999)
QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
RECENTRED = (0.5, 0.8, 0.9, 0.95)
DRAWS = 200


@dataclass(frozen=True)
class Half:
    """One half of the reports.

    Attributes:
        name: of the half.
        reports: N clean texts, impression and findings.
        same: `[N, N]` pairs with the same gold findings.
        rows: kind of row -> `[N]`; a report with a finding that the gold labels do not know is in
            neither kind, and differs from all others.
    """

    name: str
    reports: list[str]
    same: NDArray[np.bool_]
    rows: dict[str, NDArray[np.bool_]]


def half_of(report_id: str) -> str:
    """Return the half that a report belongs to, by a hash of its id."""
    return HALVES[
        int(hashlib.md5(f"openi:{report_id}".encode(), usedforsecurity=False).hexdigest(), 16) % 2
    ]


def load(labels: Path) -> list[Half]:
    """Read reports and gold labels into the two halves."""
    gold = pd.read_csv(labels, index_col="filename")
    findings = gold.drop(columns="normal").astype(bool)
    texts = {}
    for report in read_reports():
        sections = f"\n FINDINGS: {report.findings}\n IMPRESSION: {report.impression}\n"
        text = for_pretraining(sections)
        if text is not None and report.report_id in gold.index:
            texts[report.report_id] = text
    halves = []
    for name in HALVES:
        chosen = sorted(key for key in texts if half_of(key) == name)
        some = findings.loc[chosen].to_numpy()
        normal = (gold.loc[chosen, "normal"] == 1).to_numpy() & ~some.any(1)
        abnormal = some.any(1)
        known = normal | abnormal
        same = (some[:, None] == some[None]).all(2) & known[:, None] & known[None]
        rows = {"normal": normal, "abnormal": abnormal}
        halves.append(Half(name, [texts[key] for key in chosen], same, rows))
    return halves


def similarities(half: Half, encoder: str, text: Any) -> tuple[NDArray[np.float32], float]:
    """Return r of all pairs and the centre o = mean cosine to the mean of the unit vectors."""
    nothing = np.full((len(half.reports), 1), np.nan)
    vectors = encode(encoder, half.reports, nothing, text)
    r = similarity(vectors, np.arange(len(half.reports)))
    return r, float(np.linalg.norm(np.asarray(vectors.mean(axis=0)).ravel()))


def cuts(r: NDArray[np.float32], centre: float) -> Iterator[tuple[str, float, float]]:
    """Yield kind of cut, its setting, and the absolute theta that it stands for."""
    pairs = r[np.triu_indices(len(r), 1)]
    yield "none", -1.0, -2.0
    yield from (("theta", theta, theta) for theta in THETAS)
    yield from (("quantile", q, float(np.quantile(pairs, q))) for q in QUANTILES)
    yield from (("recentred", c, c * (1 - centre + 1e-6) + centre) for c in RECENTRED)


def evaluate(half: Half, encoder: str, text: str, draws: int) -> tuple[list[dict[str, Any]], Any]:
    """Return the scores of all cuts of one encoder on one half, and its similarities."""
    r, centre = similarities(half, encoder, text)
    weights = bootstrap_weights(len(r), draws)
    table = []
    for kind, setting, theta in cuts(r, centre):
        for name, rows in half.rows.items():
            score = score_cut(r > theta, half.same, rows, weights)
            entry = {
                "half": half.name, "encoder": encoder, "text": text, "cut": kind,
                "setting": setting, "theta": round(theta, 4), "rows": name, "pairs": score.pairs,
            }  # fmt: skip
            for place, value in enumerate(("eliminated", "precision", "recall")):
                entry[value] = getattr(score, value)
                entry[f"{value}_low"] = score.low[place]
                entry[f"{value}_high"] = score.high[place]
            table.append(entry)
    return table, r


def choose(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank the settings by the mean F0.5 of normal and abnormal rows on the choosing half.

    A wrong cut takes a hard negative away, a missed one leaves what InfoNCE has: so precision
    weighs more.
    """
    keys = ["encoder", "text", "cut", "setting"]
    scores = scores.assign(
        f05=[f_score(p, r) for p, r in zip(scores.precision, scores.recall, strict=True)]
    )
    wide = scores.pivot_table(index=keys, columns=["half", "rows"], values="f05", dropna=False)
    wide.columns = [f"f05_{half}_{rows}" for half, rows in wide.columns]
    for half in HALVES:
        wide[f"f05_{half}"] = wide[[f"f05_{half}_normal", f"f05_{half}_abnormal"]].mean(axis=1)
    return wide.sort_values("f05_choose", ascending=False).reset_index()


def main() -> None:
    """Evaluate all encoders and cuts and write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True, help="openi_gld_std14.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--encoders", nargs="+", help="only these; all by default")
    parser.add_argument("--draws", type=int, default=DRAWS, help="bootstrap draws")
    given = parser.parse_args()
    halves = load(given.labels)
    table: list[dict[str, Any]] = []
    found: dict[tuple[str, str], NDArray[np.float32]] = {}
    forms = [form for form in FORMS if given.encoders is None or form[0] in given.encoders]
    work = [(half, *form) for form in forms for half in halves]
    for half, encoder, text in track(work, "encoders and halves"):
        part, r = evaluate(half, encoder, text, given.draws)
        table += part
        if half.name == "confirm":
            found[encoder, text] = r
    scores = pd.DataFrame(table)
    ranked = choose(scores)
    for name, frame in (("scores", scores), ("ranking", ranked)):
        with atomic(given.out / f"{name}.csv") as temporary:
            frame.round(4).to_csv(temporary, index=False)
    half = halves[1]
    draw_trade_off(scores[scores.half.eq("confirm")], given.out / "trade_off.png")
    draw_distributions(found, half.same, half.rows, given.out / "distributions.png")
    counts = {
        h.name: {k: int(v.sum()) for k, v in h.rows.items()} | {"all": len(h.reports)}
        for h in halves
    }
    write_json(given.out / "counts.json", counts)


if __name__ == "__main__":
    main()
