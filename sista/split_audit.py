"""Audit of any split, ours or foreign list files: overlaps, nestedness, class counts."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import pandas as pd


def overlaps(subsets: Mapping[str, Sequence[str]], frame: pd.DataFrame) -> list[str]:
    """Return one line per pair of subsets that share an image, a patient or a pixel hash.

    Args:
        subsets: image ids per subset.
        frame: columns image_id, patient_id, content_hash.
    """
    known = frame.set_index("image_id")
    problems = []
    names = list(subsets)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            left, right = (known.loc[list(subsets[name])] for name in (first, second))
            for what, a, b in (
                ("images", set(left.index), set(right.index)),
                ("patients", set(left.patient_id), set(right.patient_id)),
            ):
                if a & b:
                    problems.append(f"{what} both in {first} and {second}: {listed(a & b)}")
            same = set(left.content_hash) & set(right.content_hash)
            if same:
                ids = [*left.index[left.content_hash.isin(same)]]
                ids += [*right.index[right.content_hash.isin(same)]]
                problems.append(f"equal pixels both in {first} and {second}: {listed(set(ids))}")
    return problems


def listed(ids: Iterable[str], most: int = 20) -> str:
    """Return ids in one line, at most `most` of them."""
    ordered = sorted(ids)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more


def not_nested(split: pd.DataFrame) -> list[str]:
    """Return one line per draw and fraction that is not inside the next larger fraction."""
    problems = []
    train = split[split.subset == "train"]
    for draw, part in train.groupby("draw"):
        sets = {int(str(fraction)): set(ids) for fraction, ids in part.groupby("fraction").image_id}
        sizes = sorted(sets)
        for small, large in pairwise(sizes):
            if outside := sets[small] - sets[large]:
                problems.append(
                    f"draw {draw}: {small} % is not inside {large} %: {listed(outside)}"
                )
    return problems
