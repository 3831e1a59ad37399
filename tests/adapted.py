"""One job of `adapt` on a prepared data set, as tests ask for it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from sista import registry, tables
from sista.stages.adapt import adapt


def adapted(
    manifest: Path,
    encoder: Path,
    out: Path,
    head: str,
    changes: dict[str, Any] | str | None = None,
    **words: Any,
) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """Return predictions, their metadata and what the record says of the run."""
    untrained = registry.constant("heads", head, "ADAPTS") == "untrained"
    given = {"draws": [0], "fractions": [0 if untrained else 100], "budget": "tiny"}
    adapt(
        head=head,
        manifest=manifest,
        split=manifest.with_suffix(".split.parquet"),
        encoder=encoder,
        out=out,
        settings=changes if isinstance(changes, str) else json.dumps(changes or {}),
        **{"protocol": "quick_v1", "dataset": "blobs@test", **given, **words},
    )
    asked = json.loads(out.with_name("run.json").read_text())["run"]
    frame, meta = tables.read(out, f"predictions_{asked['task']}")
    return frame, meta, asked
