"""True regions of findings on films, for tasks that ask where a method looks: a prepared table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sista import tables

# What the phantom leaves beside its raw layout; a test holds it against `sista.phantom.truth`.
PHANTOM_TRUTH = "phantom_truth.parquet"
COLUMNS = ("image_id", "label", "mask")
Rows = Sequence[tuple[str, str, str]]


def read_regions(root: Path, images: "pd.Series[str]", known: Rows = ()) -> pd.DataFrame:
    """Return the regions of the images of a manifest: image_id, label, mask (COCO run lengths).

    A finding on both sides has a row for each. Without a source that knows regions the table is
    empty.

    Args:
        root: folder of the raw data.
        images: ids of the manifest.
        known: rows that the reader of the data set found.
    """
    if known:
        return pd.DataFrame(list(known), columns=list(COLUMNS))
    source = root / PHANTOM_TRUTH
    # The table exists all the same: a rule of the workflow has the same outputs for every data set.
    if not source.is_file():
        return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    wanted = ["image_id", "finding", "mask"]
    truth: pd.DataFrame = tables.columns_of(source, wanted, "run fetch again").to_pandas()
    truth = truth[truth["image_id"].isin(set(images))].rename(columns={"finding": "label"})
    return truth[list(COLUMNS)].reset_index(drop=True)
