"""What a file of predictions must say of itself: all heads, as the protocol trains them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from sista import registry
from sista.encoders.specs import ENCODERS
from sista.grid.grid import FRACTIONS
from sista.metadata import Meta


def broken(frame: pd.DataFrame, meta: Meta, head: str) -> Iterator[str]:
    """Yield where heads are missing, or were trained otherwise than the protocol says.

    Args:
        frame: predictions.
        meta: of their table.
        head: its word.
    """
    yield from _rules(meta["run"])
    if registry.constant("heads", head, "ADAPTS") != "untrained":
        yield from _missing(frame, meta)


def _rules(run: Mapping[str, Any]) -> Iterator[str]:
    protocol = str(run.get("protocol"))
    if own := run.get("settings_adapt"):
        yield (
            f"its heads had settings of their own ({str(own)[:100]}), which are not those of "
            f"{protocol}: adapt without them"
        )
    if protocol not in registry.names("protocols"):
        return
    size, spec = registry.find("protocols", protocol).image_size, ENCODERS.get(str(run["encoder"]))
    size = size or (spec.size if spec else None)
    said = run.get("image_size", size)
    if size and said != size:
        yield f"made at {said} px; {protocol} is at {size} px"


def _missing(frame: pd.DataFrame, meta: Meta) -> Iterator[str]:
    """Yield what is missing: a label fraction, or a draw of one of them."""
    # Of a head whose test films are left out the validation ones alone tell nothing.
    tested = frame.loc[frame["subset"] == "test", ["draw", "fraction"]].drop_duplicates()
    there = {(int(d), int(f)) for d, f in tested.to_numpy()}
    refused = {
        (int(r["draw"]), int(r["fraction"])) for r in meta["refused"] if r.get("draw") is not None
    }
    # All from the first to the last: a draw between them that is not there may have been a bad one.
    draws = range(max((draw for draw, _ in there | refused), default=-1) + 1)
    wanted = {(draw, fraction) for draw in draws for fraction in FRACTIONS}
    if missing := sorted(wanted - there - refused):
        told = ", ".join(f"draw {d} at {f} %" for d, f in missing[:5])
        yield f"lacks {len(missing)} of {len(wanted)} heads ({told}): adapt at all label fractions"
