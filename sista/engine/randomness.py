"""Randomness by counters: a number depends on (seed, epoch, image), never on what came before.

So a run that is killed and resumed, or that meets its images in another order, sees the same
augmentation.
"""

import numpy as np
from numpy.typing import NDArray

# 2^64 over the golden ratio, the increment of SplitMix64 (Steele et al. 2014).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, epoch: int, items: NDArray[np.int64], columns: int) -> NDArray[np.float64]:
    """Return numbers in [0, 1), `[N, columns]`, one row for each item."""
    # Arithmetic modulo 2^64 is meant.
    with np.errstate(over="ignore"):
        start = np.array([seed], np.uint64) * _GOLDEN + np.uint64(epoch) + _GOLDEN
        state = _mix(start)
        rows = _mix(state + (items.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
        cells = rows[:, None] + np.arange(1, columns + 1, dtype=np.uint64) * _GOLDEN
        bits = _mix(_mix(cells))
    # 53 bits are what a double holds exactly, so the result never rounds up to 1.
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**53


def permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits `count` items."""
    keys = uniform(seed, epoch, np.arange(count), 1)[:, 0]
    return np.argsort(keys, kind="stable")
