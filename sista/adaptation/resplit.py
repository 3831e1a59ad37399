"""The split of a protocol that does not take the one of `prepare`; see `SplitRule`."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sista.preparation import splits
from sista.preparation.labels import apply_policy
from sista.preparation.patient_groups import groups
from sista.protocols._base import SplitRule


def resplit(
    frame: pd.DataFrame,
    meta: dict[str, Any],
    split: pd.DataFrame,
    split_meta: dict[str, Any],
    rule: SplitRule,
) -> splits.Split:
    """Return the split of a data set by a protocol's rule.

    Args:
        frame: manifest.
        meta: its metadata.
        split: of `prepare`.
        split_meta: its metadata.
        rule: of the protocol.

    Raises:
        UserError: a patient or an image is in two sets; lists the ids.
    """
    names = list(meta["labels"])
    values = frame[[f"label.{name}" for name in names]].to_numpy(float)
    values = apply_policy(values, names, str(meta.get("label_policy") or "as_is"))
    labels = {name: values[:, column] for column, name in enumerate(names)}
    # Images that `prepare` has put nowhere stay out.
    inside = frame["image_id"].isin(split["image_id"]).to_numpy()
    frame, labels = frame[inside], {name: column[inside] for name, column in labels.items()}
    if rule.held_out is None:
        of_image = dict(zip(split["image_id"], split["subset"], strict=True))
        subsets = frame["image_id"].map(of_image).to_numpy(dtype=object)
    else:
        patients = groups(list(frame["patient_id"]), list(frame["content_hash"]))
        subsets = shuffled(patients, rule.held_out)
    made = splits.assemble(
        frame.reset_index(drop=True),
        str(meta["dataset"]),
        labels,
        subsets,
        draws=int(split_meta["draws"]),
        balanced=rule.balanced,
    )
    splits.validate_split(made.frame, frame)
    return made


def shuffled(patients: list[str], held_out: float) -> NDArray[np.object_]:
    """Return `train`, `val` or `test` per image, as scikit-learn's `train_test_split` deals them.

    It is called twice with seed 0: for what is held out (rounded up), then for the test half of it.
    Where every image has a patient of its own these are its very sets; else patients stay together.

    Args:
        patients: of each image; their sorted names are what is shuffled.
        held_out: share of the images in the validation and test sets together.
    """
    names, sizes = np.unique(np.array(patients, dtype=object), return_counts=True)
    wanted = math.ceil(held_out * len(patients))
    order = _shuffle(len(names))
    held = order[: _reach(sizes[order], wanted)]
    # The same order again, of what is left: the first half is the second result of the function.
    again = held[_shuffle(len(held))]
    half = _reach(sizes[again], math.ceil(wanted / 2))
    subset_of = dict.fromkeys(names, "train")
    subset_of |= dict.fromkeys(names[again[:half]], "val")
    subset_of |= dict.fromkeys(names[again[half:]], "test")
    return np.array([subset_of[name] for name in patients], dtype=object)


def _shuffle(count: int) -> NDArray[np.intp]:
    # The old generator: what scikit-learn makes of `random_state=0`.
    return np.random.RandomState(0).permutation(count)


def _reach(sizes: NDArray[np.intp], wanted: int) -> int:
    """Return how many groups, in this order, hold at least so many images."""
    return int(np.searchsorted(sizes.cumsum(), wanted) + 1)
