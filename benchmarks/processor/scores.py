"""What other last bits do to scores: encoders trained with pinned instruction sets and without.

`python -m benchmarks.processor.scores --portable SCORES --native SCORES --out FILE.csv`: scores of
`benchmarks/processor.yaml` and of `benchmarks/power.yaml`, whose first seeds are the same. Points
on test rows, means over label draws.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from sista.files import atomic
from sista.scoring.main_rows import overall, read_scores

METRICS = ("auroc", "dice_positive", "map_40_75")
PLACE = ["encoder", "metric", "fraction"]


def means(scores: Path) -> pd.DataFrame:
    """Return a column for each seed and a row for each place, means over draws in points."""
    frame = overall(read_scores(scores)[0])
    frame = frame[frame["metric"].isin(METRICS)]
    table = frame.pivot_table("value", [*PLACE, "draw"], "seed")
    return 100 * table.groupby(PLACE).mean()


def effect(portable: pd.DataFrame, native: pd.DataFrame) -> pd.DataFrame:
    """Return the differences of each seed beside how far two seeds lie apart.

    Args:
        portable: as `means` returns it.
        native: likewise, of these seeds and more.

    Returns:
        `seedN`, portable minus native; `bits_rms`, the root of the mean of their squares;
        `seeds_rms`, the same of two native seeds: the standard deviation times the root of two.
    """
    found = portable - native[portable.columns]
    found.columns = [f"seed{seed}" for seed in found.columns]
    rms = np.sqrt((found**2).mean(axis=1))
    return found.assign(bits_rms=rms, seeds_rms=native.std(axis=1, ddof=1) * np.sqrt(2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("portable", "native", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    table = effect(means(given.portable), means(given.native)).round(2).reset_index()
    with atomic(given.out) as temporary:
        table.to_csv(temporary, index=False)
    print(table.to_string(index=False))
    parts = table.groupby("encoder")[["bits_rms", "seeds_rms"]]
    print(parts.apply(lambda part: np.sqrt((part**2).mean())).round(2).to_string())
