"""Which reports of a batch are encoded together, so that little padding is computed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Tokens that could be encoded in the time that one more chunk costs (benchmarks/speed/step.py).
CHUNK_COST = 32


class ReportChunk(NamedTuple):
    """A run of reports in the order of their lengths; known on the host, so that nothing waits.

    Attributes:
        reports: how many.
        tokens: of the longest.
        full: all are as long as that: no mask is needed.
    """

    reports: int
    tokens: int
    full: bool


def length_chunks(length: NDArray[np.integer], cost: float = CHUNK_COST) -> tuple[ReportChunk, ...]:
    """Cut reports, sorted by length, where padding and number of chunks cost least together.

    The exact optimum by dynamic programming over the places of the last cut.

    Args:
        length: `[B]` tokens of each report, in any order.
        cost: of a chunk, in tokens.
    """
    ordered = np.sort(length).astype(np.float64)
    count = len(ordered)
    # least[n]: cost of the n shortest reports; start[n]: where their last chunk begins.
    least = np.zeros(count + 1)
    start = np.zeros(count + 1, np.int64)
    for stop in range(1, count + 1):
        total = least[:stop] + (stop - np.arange(stop)) * ordered[stop - 1] + cost
        start[stop] = total.argmin()
        least[stop] = total[start[stop]]
    chunks: list[ReportChunk] = []
    stop = count
    while stop:
        first = int(start[stop])
        same = bool(ordered[first] == ordered[stop - 1])
        chunks.append(ReportChunk(stop - first, int(ordered[stop - 1]), same))
        stop = first
    return tuple(reversed(chunks))
