"""Splits by patient and nested label fractions, the same for the same data set word and draw.

Patients that share an image (equal pixel hash) are one group and never come apart. The label
fractions are drawn from the training images: 1 % inside 10 % inside 100 %.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sista.errors import UserError
from sista.metadata import data_word
from sista.preparation.patient_groups import groups
from sista.preparation.split_audit import listed, not_nested, overlaps

FRACTIONS = (1, 10, 100)
SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
RULE = (
    "official sets where the source gives them, else 70/15/15 by patient (patients that share an "
    "image count as one); stratified by label pattern; nested fractions of the training images "
    "with a positive and a negative of every class; version 1"
)
Labels = NDArray[np.float64]
Order = Callable[[str], bytes]


@dataclass(frozen=True)
class Split:
    """A split table (contract `split`) and its metadata."""

    frame: pd.DataFrame
    meta: dict[str, Any]


def make(
    frame: pd.DataFrame,
    dataset: str,
    labels: Mapping[str, Labels],
    *,
    draws: int = 5,
    val_share: float = 0.15,
    val_cap: int | None = None,
) -> Split:
    """Split a data set and draw its label fractions.

    Args:
        frame: columns image_id, patient_id, content_hash, official (one row per image).
        dataset: the data set's reference; the part before `@` seeds every choice.
        labels: training labels (1, 0, NaN) per class, each `[len(frame)]`.
        draws: number of draws of each fraction.
        val_share: share of official training images drawn for validation if none is given.
        val_cap: most images drawn so.

    Raises:
        UserError: official sets share a patient or an image; lists the ids.
    """
    word, values = data_word(dataset), _stacked(labels, len(frame))
    subsets = _subsets(frame, values, word, val_share, val_cap)
    return assemble(frame, dataset, labels, subsets, draws=draws)


def assemble(
    frame: pd.DataFrame,
    dataset: str,
    labels: Mapping[str, Labels],
    subsets: NDArray[np.object_],
    *,
    draws: int,
    balanced: bool = False,
) -> Split:
    """Draw the label fractions of given sets.

    Args:
        frame: see `make`.
        dataset: see `make`.
        labels: see `make`.
        subsets: `train`, `val` or `test` per image.
        draws: number of draws of each fraction.
        balanced: see `SplitRule`.
    """
    word, values = data_word(dataset), _stacked(labels, len(frame))
    parts = [_rows(dataset, s, -1, -1, frame.image_id[subsets == s]) for s in ("val", "test")]
    train = np.flatnonzero(subsets == "train")
    refused: list[dict[str, Any]] = []
    for draw in range(draws):
        order = _order(f"{word}:{draw}")
        pool = _balanced(frame, values, train, order) if balanced else train
        for fraction, chosen in _fractions(frame, values, list(labels), pool, order):
            if isinstance(chosen, str):
                refused.append({"fraction": fraction, "draw": draw, "reason": chosen})
            else:
                parts.append(_rows(dataset, "train", draw, fraction, frame.image_id.iloc[chosen]))
    table = pd.concat(parts, ignore_index=True)
    meta = {"hash": split_hash(table), "rule": RULE, "draws": draws}
    return Split(table, meta | {"fractions": list(FRACTIONS), "refused": refused})


def _stacked(labels: Mapping[str, Labels], count: int) -> Labels:
    return np.column_stack([*labels.values()]) if labels else np.empty((count, 0))


def split_hash(table: pd.DataFrame) -> str:
    """Return 12 hex digits of a split table, whatever the order of its rows."""
    columns = [table[c].astype(str) for c in ("subset", "draw", "fraction", "image_id")]
    lines = sorted(",".join(cells) for cells in zip(*columns, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _rows(dataset: str, subset: str, draw: int, fraction: int, ids: pd.Series) -> pd.DataFrame:
    settings = {"dataset": dataset, "subset": subset, "draw": draw, "fraction": fraction}
    return pd.DataFrame({**settings, "image_id": ids.to_numpy()})


def _order(seed: str) -> Order:
    """Return a sort key that shuffles ids the same way on every machine."""
    # A hash and no generator: an image keeps its rank when others come or go.
    return lambda name: hashlib.blake2b(f"{seed}|{name}".encode(), digest_size=8).digest()


def _subsets(
    frame: pd.DataFrame, values: Labels, word: str, val_share: float, val_cap: int | None
) -> NDArray[np.object_]:
    """Return `train`, `val` or `test` per image."""
    group = np.array(groups(list(frame.patient_id), list(frame.content_hash)), dtype=object)
    official = frame.official.to_numpy(dtype=object)
    given = np.array([isinstance(value, str) for value in official])
    order = _order(word)
    if not given.any():
        return _spread(group, values, SHARES, order)
    _check_official(frame, official)
    # By group: an image without an official set follows the other images of its patient.
    of_group = {g: s for g, s, known in zip(group, official, given, strict=True) if known}
    subsets = np.array([of_group.get(g, "train") for g in group], dtype=object)
    train_size = int((subsets == "train").sum())
    # val is drawn first, a missing test set from what is left; both come out of train.
    for missing in [name for name in ("val", "test") if name not in set(subsets)]:
        share = val_share if missing == "val" else SHARES["test"]
        if val_cap is not None and missing == "val" and train_size:
            share = min(share, val_cap / train_size)
        pool = subsets == "train"
        drawn = _spread(group[pool], values[pool], {"train": 1 - share, missing: share}, order)
        subsets[pool] = drawn
    return subsets


def _check_official(frame: pd.DataFrame, official: NDArray[np.object_]) -> None:
    subsets = {
        name: list(frame.image_id[official == name])
        for name in ("train", "val", "test")
        if (official == name).any()
    }
    problems = overlaps(subsets, frame)
    if problems:
        raise UserError(
            "the official sets of the source overlap: "
            + "; ".join(problems)
            + ". Correct the source's split file or remove the repeated images, then run again"
        )


def _spread(
    group: NDArray[np.object_], values: Labels, shares: Mapping[str, float], order: Order
) -> NDArray[np.object_]:
    """Deal whole groups to subsets: each to the subset that lacks most, stratum by stratum."""
    members: dict[str, list[int]] = {}
    for row, name in enumerate(group):
        members.setdefault(name, []).append(row)
    present: NDArray[np.bool_] = np.greater(np.nan_to_num(values), 0)
    # Groups are dealt by pattern, the rarest class first, so that few cases spread evenly.
    rare_first = np.argsort(present.sum(axis=0), kind="stable")
    ordered = present[:, rare_first]
    pattern = {name: _any(ordered[rows]) for name, rows in members.items()}
    result = np.empty(len(group), dtype=object)
    dealt = dict.fromkeys(shares, 0)
    total = 0
    for name in sorted(members, key=lambda g: (pattern[g], order(g))):
        total += len(members[name])
        # To the subset that is furthest behind its share of the images dealt so far.
        subset = max(shares, key=lambda s: shares[s] * total - dealt[s])
        dealt[subset] += len(members[name])
        result[members[name]] = subset
    return result


def _any(present: NDArray[np.bool_]) -> bytes:
    """Return which classes any of the images shows, as sortable bytes."""
    return np.asarray(present.any(axis=0)).tobytes()


def _balanced(
    frame: pd.DataFrame, values: Labels, train: NDArray[np.intp], order: Order
) -> NDArray[np.intp]:
    """Return all images with a positive label, and the first as many others by `order`."""
    positive = (np.nan_to_num(values[train]) > 0).any(axis=1)
    names = frame.image_id.tolist()
    others = sorted(train[~positive], key=lambda row: order(names[row]))
    return np.sort([*train[positive], *others[: positive.sum()]])


def _fractions(
    frame: pd.DataFrame,
    values: Labels,
    names: list[str],
    train: NDArray[np.intp],
    order: Order,
) -> Iterable[tuple[int, NDArray[np.intp] | str]]:
    """Yield each fraction, largest first, with its images or the reason why it is refused."""
    images = frame.image_id.tolist()
    shuffle = {row: order(images[row]) for row in train}
    pool: NDArray[np.intp] = np.array(sorted(train, key=lambda row: shuffle[row]), dtype=np.intp)
    needs = _needs(values[train], names)
    for fraction in sorted(FRACTIONS, reverse=True):
        # Half up: Python's `round` would go to the even number.
        size = max(1, int(len(train) * fraction / 100 + 0.5))
        chosen = pool if size >= len(pool) else _draw(pool, values, needs, size)
        if isinstance(chosen, str):
            yield fraction, f"{fraction} % of {len(train)} training images is {size}: {chosen}"
        else:
            # The next smaller fraction is drawn from this one, which nests them.
            pool = chosen
            yield fraction, np.sort(pool)


def _needs(values: Labels, names: list[str]) -> list[tuple[int, float, str]]:
    """Return what every fraction must hold: rarest first (class, value, words for it)."""
    needs = []
    for column, name in enumerate(names):
        counts = {value: int((values[:, column] == value).sum()) for value in (1.0, 0.0)}
        if all(counts.values()):
            words = {1.0: f"a positive of {name}", 0.0: f"a negative of {name}"}
            needs += [(counts[value], column, value, words[value]) for value in (1.0, 0.0)]
    return [(column, value, words) for _, column, value, words in sorted(needs)]


def _draw(
    pool: NDArray[np.intp], values: Labels, needs: list[tuple[int, float, str]], size: int
) -> NDArray[np.intp] | str:
    """Return `size` images of the shuffled pool that meet the needs, or why there are none."""
    chosen = _systematic(pool, values, size)
    if _lacking(chosen, values, needs):
        kept: list[int] = []
        while lacking := _lacking(np.array(kept, dtype=np.intp), values, needs):
            if len(kept) == size:
                return f"too few images to hold {lacking[0][2]} beside the other classes"
            column, value, _ = lacking[0]
            able = [p for p in pool if values[p, column] == value]
            # The image that meets most of the open needs at once, so that small fractions suffice.
            kept.append(max(able, key=lambda p: sum(values[p, c] == v for c, v, _ in lacking)))
        rest = pool[~np.isin(pool, kept)]
        filled = _systematic(rest, values, size - len(kept))
        chosen = np.concatenate([np.array(kept, dtype=np.intp), filled])
    inside = np.isin(pool, chosen)
    return pool[inside]


def _lacking(
    chosen: NDArray[np.intp], values: Labels, needs: list[tuple[int, float, str]]
) -> list[tuple[int, float, str]]:
    return [need for need in needs if not (values[chosen, need[0]] == need[1]).any()]


def _systematic(pool: NDArray[np.intp], values: Labels, size: int) -> NDArray[np.intp]:
    """Return every n-th image of the pool sorted by label pattern: a proportional sample."""
    if size <= 0:
        return pool[:0]
    present = np.nan_to_num(values[pool]) > 0
    rare_last = np.argsort(present.sum(axis=0), kind="stable")[::-1]
    # `lexsort` sorts by its last key first: by the rarest class; ties keep the shuffled order.
    columns = [np.arange(len(pool)), *(present[:, c] for c in rare_last)]
    by_pattern = pool[np.lexsort(columns)]
    # The middle of each of `size` equal stretches.
    positions = ((np.arange(size) + 0.5) * len(pool) / size).astype(np.intp)
    return by_pattern[positions]


def validate_split(split: pd.DataFrame, manifest: pd.DataFrame) -> None:
    """Check a split against its manifest.

    Raises:
        UserError: lists ids that are unknown, are in two subsets (by image, patient or pixel hash)
            or break the nesting of the fractions.
    """
    unknown = set(split.image_id) - set(manifest.image_id)
    problems = [f"images without a manifest row: {listed(unknown)}"] if unknown else []
    if not problems:
        of_subset = {name: split.image_id[split.subset == name] for name in SHARES}
        subsets = {name: list(ids.unique()) for name, ids in of_subset.items()}
        problems = overlaps(subsets, manifest) + not_nested(split)
    if problems:
        raise UserError(f"not a valid split: {'; '.join(problems)}. Run prepare again")
