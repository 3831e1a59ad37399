"""Report encoders by word: `tfidf`, `minilm`, `labels`, `rule_labels`, any transformers model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sista.text.findings import finding_labels, findings_text
from sista.text.similarity import Matrix, ReportText, label_vectors, tfidf_vectors
from sista.text.transformer import transformer_vectors

TFIDF, LABELS, RULE_LABELS = "tfidf", "labels", "rule_labels"


def encode(
    encoder: str,
    reports: Sequence[str],
    labels: NDArray[np.float64],
    text: ReportText = "cleaned",
    corpus: Sequence[str] | None = None,
) -> Matrix:
    """Return unit vectors `[N, D]` of reports, sparse or dense.

    Args:
        encoder: `tfidf` (words and pairs of words); `minilm`, or a transformers folder or hub id,
            with `:cls` or `:mean` behind it; `labels`, the finding labels of the data set, or
            those of the rules where it has none; `rule_labels`, findings by rules with negation.
        reports: N clean report texts.
        labels: `[N, C]` finding labels: 1, 0, -1 uncertain, NaN not known.
        text: `cleaned` looks at the clauses that state findings, `raw` at everything. Labels do
            not depend on it.
        corpus: reports whose words `tfidf` counts; by default the reports themselves.

    Raises:
        UserError: the model cannot be loaded.
    """
    if encoder == LABELS and not np.isnan(labels).all():
        return label_vectors(labels)
    if encoder in (LABELS, RULE_LABELS):
        return label_vectors(finding_labels(reports))
    if encoder == TFIDF:
        return tfidf_vectors(reports, text, corpus)
    chosen = list(reports) if text == "raw" else [findings_text(report) for report in reports]
    return transformer_vectors(encoder, chosen)
