"""Similarity between reports, from frozen encoders and outside the training loop.

Vectors are made once per corpus; a batch needs one product of its rows.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from sista.text.findings import findings_text

Matrix: TypeAlias = sparse.csr_matrix | sparse.csr_array | NDArray[np.float32]
# A word of `sista.text.report_encoders`, or a transformers folder or hub id.
ReportEncoder = str
ReportText = Literal["raw", "cleaned"]


def tfidf_vectors(
    reports: Sequence[str], text: ReportText = "cleaned", corpus: Sequence[str] | None = None
) -> sparse.csr_matrix | sparse.csr_array:
    """Return unit TF-IDF vectors `[N, V]` of reports (words and pairs of words).

    Args:
        reports: clean report texts.
        text: `cleaned` looks at `findings_text` only, `raw` at everything.
        corpus: reports whose words are counted; by default the reports themselves. A report none
            of whose words is known has a vector of zeros, similar to nothing.
    """
    every = [*reports, *(corpus or ())]
    chosen = [findings_text(r) for r in every] if text == "cleaned" else every
    # scikit-learn's own pattern drops words of one letter.
    vectoriser = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",  # noqa: S106 (a pattern)
        dtype=np.float32,
    )
    if corpus is None:
        return vectoriser.fit_transform(chosen)
    return vectoriser.fit(chosen[len(reports) :]).transform(chosen[: len(reports)])


def label_vectors(labels: NDArray[np.float64]) -> sparse.csr_matrix | sparse.csr_array:
    """Return unit vectors `[N, C + 1]` of finding labels; the last column says "nothing found".

    Args:
        labels: `[N, C]` 1 = present, -1 = uncertain (counts as half present), 0 or NaN = not.
            Two studies without a finding are identical.
    """
    present = np.nan_to_num(labels, nan=0.0)
    present = np.where(present == -1, 0.5, np.clip(present, 0.0, 1.0))
    nothing = (present.sum(1, keepdims=True) == 0).astype(np.float64)
    full = np.concatenate([present, nothing], axis=1).astype(np.float32)
    return sparse.csr_matrix(normalize(full))


def similarity(vectors: Matrix, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the cosines `[B, B]` between the reports of a batch, in [-1, 1].

    Args:
        vectors: `[N, D]` unit vectors, sparse or dense.
        rows: the reports of the batch.
    """
    part: Any = vectors[rows]
    cosines = part @ part.T
    dense = cosines.toarray() if sparse.issparse(cosines) else cosines
    # Rounding may leave the cosine of equal reports a little above 1.
    return np.asarray(dense, dtype=np.float32).clip(-1.0, 1.0)
