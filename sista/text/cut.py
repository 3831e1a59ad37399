"""What a cut on report similarity does to a corpus: quantiles, centre, share of pairs above."""

import numpy as np
from numpy.typing import NDArray

from sista.text.similarity import Matrix, similarity

# All pairs of this many studies, drawn evenly, stand for a larger corpus.
SAMPLE = 2000
# A cut that removes less or more than this is most likely not what was meant.
TOO_MANY = 0.30


def pair_similarities(vectors: Matrix, limit: int = SAMPLE) -> NDArray[np.float32]:
    """Return the similarities of all pairs of two different reports, `[M]`.

    Args:
        vectors: unit vectors `[N, V]`.
        limit: studies that are compared; fewer than N are taken at even distances.
    """
    count = vectors.shape[0]
    rows = np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))
    return similarity(vectors, rows)[np.triu_indices(len(rows), 1)]


def centre(vectors: Matrix) -> float:
    """Return FaNe's o: the mean cosine of the reports to the mean of their unit vectors.

    That is the length of the mean vector.
    """
    mean = np.asarray(vectors.mean(axis=0)).ravel()
    return float(np.linalg.norm(mean))


def warning(share: float, where: str) -> str | None:
    """Return what is odd about a cut that takes this share of pairs as false negatives, or None.

    Args:
        share: in [0, 1].
        where: names the cut.
    """
    if share == 0.0:
        return f"{where}: cuts no pair of reports, so SIA is plain InfoNCE; take a lower theta"
    if share > TOO_MANY:
        return (
            f"{where}: cuts {share:.0%} of all pairs of reports, more than {TOO_MANY:.0%}; "
            "take a higher theta or another encoder of the reports"
        )
    return None
