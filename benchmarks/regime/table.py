"""Print a trail as a table: a row for each idea, method and encoder, means and spreads over seeds.

`python -m benchmarks.regime.table trail.jsonl [WORD ...]` keeps the names that hold a word.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

KEYS = ["name", "method", "encoder"]


def row(line: dict[str, Any]) -> dict[str, Any]:
    """Return what the table shows of a trial."""
    log = line.get("log", {})
    # A plateau that was not left within the trial counts as never.
    left = {name: line.get(name) or np.inf for name in ("left_loss", "left_pairs")}
    means = {name: np.mean(line[name]) for name in ("auroc_10", "auroc_100") if name in line}
    last = {name: log[name][-1] for name in ("val_loss", "pair_auroc") if name in log}
    return {k: line[k] for k in KEYS} | left | last | means | {"seconds": line.get("seconds")}


def table(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Return means over seeds, the latest departure, and the standard deviation of the AUROC."""
    groups = pd.DataFrame([row(line) for line in lines]).groupby(KEYS, sort=False)
    found = groups.mean(numeric_only=True).drop(columns=["left_loss", "left_pairs"])
    latest = groups[["left_loss", "left_pairs"]].max().add_suffix("_latest")
    spread = groups[[c for c in found if c.startswith("auroc")]].std().add_suffix("_sd")
    return pd.concat([groups.size().rename("seeds"), latest, found, spread], axis=1).reset_index()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trail", type=Path)
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    lines = [json.loads(line) for line in given.trail.read_text().splitlines()]
    kept = [x for x in lines if not given.words or any(w in x["name"] for w in given.words)]
    print(table(kept).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
