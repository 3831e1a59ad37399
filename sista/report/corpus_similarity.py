"""Report similarity of a corpus: verb `similarity`, and the figures of distributions and cuts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sista import tables
from sista.errors import UserError
from sista.files import atomic, remove_leftovers
from sista.metrics.report_pairs import cut_shares
from sista.runs.options import Cosine, Share, Some
from sista.text.cut import SAMPLE, centre
from sista.text.findings import NORMAL_STUDY, findings_text
from sista.text.similarity import ReportText, similarity
from sista.text.stored_vectors import stored_vectors

BINS = 50
COLOURS = {"same": "#1f77b4", "different": "#d62728"}


def draw_distributions(
    similarities: Mapping[tuple[str, str], NDArray[np.float32]],
    same: NDArray[np.bool_],
    rows: Mapping[str, NDArray[np.bool_]],
    out: Path,
    thetas: Mapping[tuple[str, str], float] | None = None,
) -> None:
    """Draw r of same and different pairs, a row for each encoder and a column for each kind of row.

    Args:
        similarities: (encoder, text) -> `[N, N]`.
        same: `[N, N]` pairs that say the same.
        rows: kind of row -> `[N]`.
        out: PNG to write.
        thetas: cuts to mark.
    """
    figure = Figure(figsize=(4.2 * len(rows), 1.5 * len(similarities) + 0.6), layout="constrained")
    axes = figure.subplots(len(similarities), len(rows), squeeze=False, sharex="col")
    for line, ((encoder, text), r) in zip(axes, similarities.items(), strict=True):
        for axis, (kind, chosen) in zip(line, rows.items(), strict=True):
            off = ~np.eye(len(r), dtype=bool)[chosen]
            for name, pairs in (("same", same[chosen]), ("different", ~same[chosen])):
                values = r[chosen][pairs & off]
                # Shares, not counts: far more pairs differ than say the same.
                weights = np.full(len(values), 1 / max(len(values), 1))
                axis.hist(
                    values, BINS, (-0.2, 1), weights=weights, alpha=0.55, label=name,
                    color=COLOURS[name],
                )  # fmt: skip
            if thetas and (encoder, text) in thetas:
                axis.axvline(thetas[encoder, text], color="black", linestyle="--", linewidth=1)
            axis.set_title(f"{encoder}, {text}, {kind} rows", fontsize=8)
            axis.set_yscale("log")
            axis.tick_params(labelsize=7)
    axes[0][0].legend(fontsize=7)
    figure.supxlabel("similarity r of two reports", fontsize=8)
    figure.supylabel("share of the pairs", fontsize=8)
    _save(figure, out)


def draw_trade_off(scores: pd.DataFrame, out: Path) -> None:
    """Draw precision against recall of the absolute cuts, one line an encoder.

    Args:
        scores: rows of one half with encoder, text, cut, setting, rows, precision and recall.
        out: PNG to write.
    """
    shown = scores[scores["cut"].eq("theta") & scores["pairs"].gt(0)]
    kinds = list(dict.fromkeys(shown["rows"]))
    figure = Figure(figsize=(4.6 * len(kinds), 3.8), layout="constrained")
    axes = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        part = shown[shown["rows"].eq(kind)]
        for (encoder, text), line in part.groupby(["encoder", "text"], sort=False):
            style = "--" if text == "raw" else "-"
            axis.plot(
                line["recall"], line["precision"], style, marker="o", markersize=3,
                label=f"{encoder}, {text}",
            )  # fmt: skip
        axis.set(xlabel="recall", ylabel="precision", title=f"{kind} rows", xlim=(0, 1.02))
        axis.set_ylim(0, 1.02)
    axes[-1].legend(fontsize=7)
    _save(figure, out)


def draw_corpus(table: pd.DataFrame, theta: float, title: str, out: Path) -> None:
    """Draw the similarities in normal and abnormal rows of a corpus, the cut and its shares.

    Args:
        table: rows, what (`pairs` or `eliminated`), from, to, share.
        theta: the cut.
        title: of the figure.
        out: PNG to write.
    """
    kinds = list(dict.fromkeys(table["rows"]))
    figure = Figure(figsize=(4.2 * len(kinds), 3.2), layout="constrained")
    for axis, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        part = table[table["rows"].eq(kind)]
        pairs = part[part["what"].eq("pairs")]
        edges = np.append(pairs["from"].to_numpy(), pairs["to"].to_numpy()[-1])
        axis.stairs(pairs["share"].to_numpy(), edges, fill=True, color=COLOURS["same"])
        axis.axvline(theta, color="black", linestyle="--", linewidth=1)
        share = float(part.loc[part["what"].eq("eliminated"), "share"].iloc[0])
        axis.set_title(f"{kind} rows: {share:.1%} left out above {theta:.3f}", fontsize=9)
        axis.set(yscale="log", xlabel="similarity r of two reports", ylabel="share of the pairs")
    figure.suptitle(title, fontsize=9)
    _save(figure, out)


def _save(figure: Figure, out: Path) -> None:
    with atomic(out) as temporary:
        # Without the version of matplotlib, which would change the bytes of equal figures.
        figure.savefig(temporary, dpi=110, metadata={"Software": None})


def inspect(
    manifest: Path,
    split: Path,
    *,
    out: Path,
    encoder: str = "tfidf",
    text: ReportText = "cleaned",
    theta: Cosine = 0.9,
    quantile: Share | None = None,
    recentre: bool = False,
    batch: Some = 32,
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
    remove_leftovers(out)
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
        raise UserError(f"{manifest}: no training study with a report; give a corpus with some")
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
