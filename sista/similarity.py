"""Inspection of report similarity in a prepared corpus: distribution, cut, share eliminated."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sista import tables
from sista.files import UserError, atomic
from sista.metrics.report_pairs import cut_shares
from sista.reports.cut import SAMPLE, centre
from sista.reports.findings import NORMAL_STUDY, findings_text
from sista.reports.similarity import ReportText, similarity
from sista.reports.stored import stored_vectors


def inspect(
    manifest: Path,
    split: Path,
    *,
    out: Path,
    encoder: str = "tfidf",
    text: ReportText = "cleaned",
    theta: float = 0.9,
    quantile: float | None = None,
    recentre: bool = False,
    batch: int = 32,
) -> None:
    """Write how similar the training reports of a corpus are and what a cut leaves out.

    Writes `FILE.csv` (share of pairs by r, and what the cut eliminates per batch, in rows of
    normal and of abnormal studies) and the figure `FILE.png`.

    Args:
        manifest: prepared corpus.
        split: its split; training studies are used, evenly taken where there are more than 2,000.
        out: FILE.csv to write.
        encoder: report encoder: tfidf, minilm, labels, rule_labels, a transformers folder or hub
            id.
        text: form of the text, raw or cleaned.
        theta: reports more similar than this count as saying the same.
        quantile: takes the place of theta: this quantile of all pairs.
        recentre: FaNe's (r - o) / (1 - o + 1e-6) before the cut.
        batch: studies in a batch.

    Raises:
        UserError: the corpus has no training report.
    """
    from sista.report.similarity import draw_corpus

    if out.suffix != ".csv":
        raise UserError(f"{out}: the table's name must end in .csv")
    frame = _training(manifest, split)
    columns = [name for name in frame.columns if name.startswith("label.")]
    labels = frame[columns].to_numpy(np.float64)
    reports = list(frame["report"])
    vectors = stored_vectors(manifest.parent, reports, labels, encoder, text, reports)
    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), SAMPLE)).round().astype(int))
    r = similarity(vectors, rows)
    if recentre:
        o = centre(vectors)
        r = ((r - o) / (1 - o + 1e-6)).astype(np.float32)
    normal = np.array([findings_text(reports[row]) == NORMAL_STUDY for row in rows])
    if quantile is not None:
        theta = float(np.quantile(r[np.triu_indices(len(r), 1)], quantile))
    table = _table(r, normal, theta, batch)
    with atomic(out) as temporary:
        table.round(6).to_csv(temporary, index=False)
    title = f"{encoder}, {text}: {len(rows)} training reports of {manifest.parent.name}"
    draw_corpus(table, theta, title, out.with_suffix(".png"))
    print(f"{title}\ntheta {theta:.4f}, batch {batch}")
    for _, line in table[table["what"].eq("eliminated")].iterrows():
        print(f"{line['rows']:>9} rows: {line['share']:.2%} of the others left out")


def _training(manifest: Path, split: Path) -> pd.DataFrame:
    frame, _ = tables.read(manifest, "manifest")
    chosen, _ = tables.read(split, "split")
    wanted = chosen.loc[chosen["subset"].eq("train") & chosen["fraction"].eq(100), "image_id"]
    frame = frame[frame["image_id"].isin(set(wanted)) & frame["report"].notna()]
    if len(frame) < 2:
        raise UserError(f"{manifest}: no training study with a report, so no pair of reports")
    return frame.sort_values("image_id", ignore_index=True)


def _table(
    r: NDArray[np.float32], normal: NDArray[np.bool_], theta: float, batch: int
) -> pd.DataFrame:
    """Return the histogram of r and the shares eliminated, one row each."""
    edges = np.linspace(-1, 1, 81)
    off = ~np.eye(len(r), dtype=bool)
    lines = []
    for kind, rows in (("normal", normal), ("abnormal", ~normal)):
        values = np.clip(r[rows][off[rows]], -1, 1)
        counts = np.histogram(values, edges)[0] / max(len(values), 1)
        lines += [
            {"rows": kind, "what": "pairs", "from": low, "to": high, "share": share}
            for low, high, share in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
        shares = cut_shares(r > theta, rows, batch)
        lines += [
            {"rows": kind, "what": what, "from": theta, "to": np.nan, "share": share}
            for what, share in shares.items()
        ]
    return pd.DataFrame(lines)
