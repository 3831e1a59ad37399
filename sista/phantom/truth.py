"""What was drawn: one row per finding and side with its exact mask and box at native size."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pycocotools import mask as coco

from sista.phantom.render import Film, Mark

Row = dict[str, Any]
Rows = dict[str, list[Row]]
FILE = "phantom_truth.parquet"
COLUMNS = (
    "image_id",
    "study_id",
    "patient_id",
    "path",
    "height",
    "width",
    "finding",
    "side",
    "zone",
    "severity",
    "certain",
    "box",
    "mask",
)


def tight_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of the smallest box around a mask with at least one pixel."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def encode(mask: NDArray[np.bool_]) -> str:
    """Return a mask as JSON `{"size": [h, w], "counts": COCO compressed RLE}`."""
    # pycocotools counts down the columns and takes this memory order alone.
    code = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return json.dumps({"size": list(mask.shape), "counts": code["counts"].decode()})


def decode(text: str) -> NDArray[np.bool_]:
    """Return the mask `[H, W]` that `encode` wrote."""
    code = json.loads(text)
    with warnings.catch_warnings():
        # pycocotools answers numpy's `copy` keyword in the old way.
        warnings.simplefilter("ignore", DeprecationWarning)
        mask = coco.decode({"size": code["size"], "counts": code["counts"].encode()})
    return np.asarray(mask, dtype=bool)


def truth_rows(film: Film, image_id: str, study_id: str, patient_id: str, path: str) -> list[Row]:
    """Return one row per mark of a film; a film without findings gives none."""
    height, width = film.pixels.shape
    known = {"image_id": image_id, "study_id": study_id, "patient_id": patient_id, "path": path}
    return [{**known, "height": height, "width": width, **_mark(mark)} for mark in film.marks]


def _mark(mark: Mark) -> Row:
    finding = mark.finding
    return {
        "finding": finding.kind,
        "side": mark.side,
        "zone": finding.zone,
        "severity": finding.severity,
        "certain": finding.certain,
        "box": json.dumps(tight_box(mark.mask)),
        "mask": encode(mark.mask),
    }


def write_truth(folder: Path, rows: list[Row]) -> None:
    """Write `phantom_truth.parquet` into a layout's folder."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame.to_parquet(folder / FILE, index=False)
