"""Variance components, false alarms and the smallest visible differences of finished grids.

`python -m benchmarks.power.run --copies GRID --pairs GRID --out FOLDER` writes components.csv,
false_alarms.csv and design.csv; README.md there says what came out.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.power.components import copies, false_alarms, simulated
from benchmarks.power.tables import Place, Table, tables
from sista.files import atomic
from sista.metrics.power import Components, components, pooled, smallest_visible

# Seeds and draws of a method that designs are compared for.
SEEDS, DRAWS = (2, 3, 5, 10), (1, 2, 5, 10)
# What the suite would like to see, in points: benchmarks/power of the README.
GOALS = {("auroc", 10): 2.0, ("dice_positive", 10): 3.0, ("map_40_75", 10): 2.0}


def of_copies(found: dict[Place, dict[str, Table]]) -> Iterator[tuple[Place, str, Components]]:
    """Yield the components of the difference of two copies of each variant."""
    for place, variants in found.items():
        for variant, table in variants.items():
            half = len(table.seeds) // 2
            rng = np.random.default_rng(0)
            draws = table.values.shape[1]
            parts = pooled(
                components(c.values, c.replicates) for c in copies(table, half, draws, rng)
            )
            if parts is not None:
                yield place, variant, parts


def of_pairs(
    found: dict[Place, dict[str, Table]], baseline: str
) -> Iterator[tuple[Place, str, Components]]:
    """Yield the components of the difference of each variant and the baseline, paired by seed."""
    for place, variants in found.items():
        base = variants.get(baseline)
        for variant, table in variants.items():
            if base is not None and variant != baseline and table.seeds == base.seeds:
                difference = table.minus(base)
                # As they are, also below 0: cut off one by one, chance alone would add up.
                parts = components(difference.values, difference.replicates)
                if np.isfinite(parts).all():
                    yield place, variant, parts


def rows(
    kind: str, found: Iterator[tuple[Place, str, Components]], of: dict[Place, dict[str, Table]]
) -> Iterator[dict[str, Any]]:
    """Yield a row of components.csv for each place and variant."""
    for place, variant, c in found:
        table = of[place][variant]
        seeds, draws = table.values.shape
        yield {
            **place._asdict(),
            "kind": kind,
            "variant": variant,
            "seeds": seeds // 2 if kind == "copies" else seeds,
            "draws": draws,
            "images": table.patients,
            **{f"{name}_var": value for name, value in c._asdict().items()},
        }


def design(all_components: pd.DataFrame, times: int = 2000) -> Iterator[dict[str, Any]]:
    """Yield the smallest visible difference of each place, kind and design, in points.

    Args:
        all_components: as in components.csv.
        times: simulated comparisons behind each rate.
    """
    keys = [*Place._fields, "kind"]
    for group, part in all_components.groupby(keys, sort=False):
        known = dict(zip(keys, group, strict=True))
        c = Components(*(max(float(part[f"{n}_var"].mean()), 0.0) for n in Components._fields))
        for seeds in SEEDS:
            for draws in DRAWS:
                smallest = smallest_visible(seeds, draws, c)
                yield {
                    **known,
                    "seeds": seeds,
                    "draws": draws,
                    "smallest_visible": round(100 * smallest, 2),
                    "goal": GOALS.get((str(known["metric"]), int(str(known["fraction"])))),
                    "false_alarms": simulated(c, seeds, draws, 0.0, times),
                    "power_there": simulated(c, seeds, draws, smallest, times),
                }


def main() -> None:
    """Write the three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=Path, required=True, help="grid of one method, many seeds")
    parser.add_argument("--pairs", type=Path, action="append", default=[], help="grids of methods")
    parser.add_argument("--baseline", default="clip")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    same = tables(given.copies, given.results, given.bootstrap, given.threads)
    listed = list(rows("copies", of_copies(same), same))
    for grid in given.pairs:
        pairs = tables(grid, given.results, given.bootstrap, given.threads)
        listed += rows("methods", of_pairs(pairs, given.baseline), pairs)
    frame = pd.DataFrame(listed)
    alarms = [
        false_alarms(place, table, size, draws)
        for place, variants in same.items()
        for table in variants.values()
        for size in range(2, len(table.seeds) // 2 + 1)
        for draws in (2, table.values.shape[1])
    ]
    written = {"components": frame, "false_alarms": pd.DataFrame(alarms)}
    written["design"] = pd.DataFrame(design(frame))
    for name, table in written.items():
        with atomic(given.out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        print(f"{given.out / name}.csv: {len(table)} rows", file=sys.stderr)


if __name__ == "__main__":
    main()
