"""Whether this machine's scores are those that were released for the same grid."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sista.scoring.main_rows import main_rows

KEYS = [
    *("protocol", "dataset", "head", "variant", "encoder", "corpus", "budget", "settings_hash"),
    *("fraction", "draw", "seed", "metric", "label"),
]
# Half a unit of the last digit that a table shows.
SHOWN = 0.0005


def agreement(
    scores: pd.DataFrame, meta: Mapping[str, Any], released: pd.DataFrame, theirs: Mapping[str, Any]
) -> str:
    """Return in words how the main values compare with released ones.

    Args:
        scores: scores table made here.
        meta: its metadata.
        released: scores table of the release.
        theirs: its metadata.
    """
    here = main_rows(scores, meta["main_metrics"]).dropna(subset=["value"])
    there = main_rows(released, theirs["main_metrics"]).dropna(subset=["value"])
    columns = [*KEYS, "value", "low", "high"]
    both = here[[*KEYS, "value"]].merge(there[columns], on=KEYS, suffixes=("", "_released"))
    if both.empty:
        return "no value of these settings was released, so there is none to compare with"
    off = (both["value"] - both["value_released"]).abs()
    equal, shown = int((off == 0).sum()), int((off < SHOWN).sum())
    alone = f" ({len(here) - len(both)} more were not released)" if len(here) > len(both) else ""
    if equal == len(both):
        return f"all {len(both)} main values are the released ones to the last bit{alone}"
    inside = int(both["value"].between(both["low"], both["high"]).sum())
    worst = both.iloc[int(off.argmax())]
    place = " ".join(str(worst[name]) for name in ("variant", "encoder", "dataset", "head"))
    return (
        f"of {len(both)} main values {equal} are the released ones to the last bit, {shown} as "
        f"printed, {inside} inside the released 95 % interval{alone}; the largest difference is "
        f"{100 * off.max():.1f} points ({place}, {worst['fraction']} %, seed {worst['seed']}, draw "
        f"{worst['draw']}: released {100 * worst['value_released']:.1f} "
        f"[{100 * worst['low']:.1f}, {100 * worst['high']:.1f}], here {100 * worst['value']:.1f}). "
        "Another processor, torch or code trains other encoders: README, what the numbers mean"
    )
