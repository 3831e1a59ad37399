"""True regions of findings on films, for tasks that ask where a method looks: a prepared table."""

from pathlib import Path

import pandas as pd

from sista.files import reading

# What the phantom leaves beside its raw layout; a test holds it against `sista.phantom.truth`.
PHANTOM_TRUTH = "phantom_truth.parquet"
COLUMNS = ("image_id", "label", "mask")


def read_regions(root: Path, images: "pd.Series[str]") -> pd.DataFrame:
    """Return the regions of the images of a manifest: image_id, label, mask (COCO run lengths).

    A finding on both sides has a row for each. Without a source that knows regions the table is
    empty.

    Args:
        root: folder of the raw data.
        images: ids of the manifest.
    """
    source = root / PHANTOM_TRUTH
    # The table exists all the same: a rule of the workflow has the same outputs for every data set.
    if not source.is_file():
        return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    with reading(source, "run fetch again"):
        truth = pd.read_parquet(source, columns=["image_id", "finding", "mask"])
    truth = truth[truth["image_id"].isin(set(images))].rename(columns={"finding": "label"})
    return truth[list(COLUMNS)].reset_index(drop=True)
