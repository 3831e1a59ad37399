"""Audit of any split, ours or foreign list files: overlaps, nestedness, class counts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import pandas as pd

from sista import tables
from sista.errors import UserError, printable, say
from sista.preparation.list_names import NameIndex, first_cell, read_list


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


def class_counts(subsets: Mapping[str, Sequence[str]], frame: pd.DataFrame) -> pd.DataFrame:
    """Return positives, negatives and other values (uncertain, unknown) per subset and finding."""
    known = frame.set_index("image_id")
    rows = []
    for name, ids in subsets.items():
        part = known.loc[list(ids)]
        for column in [c for c in frame.columns if c.startswith("label.")]:
            positive, negative = int((part[column] == 1).sum()), int((part[column] == 0).sum())
            counts = (positive, negative, len(part) - positive - negative)
            rows.append((name, column.removeprefix("label."), *counts))
    return pd.DataFrame(rows, columns=["subset", "label", "positive", "negative", "other"])


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Args:
        sizes: images per subset.
        counts: positives, negatives and others per subset and class.
        problems: one line per overlap or broken nesting, with the ids.
        unmatched: per list, names that no image of the manifest has.
    """

    sizes: Mapping[str, int]
    counts: pd.DataFrame
    problems: list[str]
    unmatched: Mapping[str, list[str]]


def audit(subsets: Mapping[str, Sequence[str]], frame: pd.DataFrame) -> Audit:
    """Audit any split against a manifest.

    Args:
        subsets: lines of a list file per list, see `NameIndex.find`. `train`, `val` and `test` must
            not overlap; `train_1`, `train_10` and `train_100` are fractions and must be nested.
        frame: a manifest.
    """
    matched: dict[str, list[str]] = {}
    unmatched: dict[str, list[str]] = {}
    doubled: list[str] = []
    index = NameIndex(frame)
    for name, entries in subsets.items():
        ids = [index.find(entry) for entry in entries]
        unmatched[name] = [e for e, image in zip(entries, ids, strict=True) if image is None]
        images = [image for image in ids if image is not None]
        matched[name] = list(dict.fromkeys(images))
        if len(images) > len(matched[name]):
            twice = {i for i, n in Counter(images).items() if n > 1}
            doubled.append(f"listed more than once in {name}: {listed(twice)}")
    fractions = {int(n[6:]): n for n in matched if n.startswith("train_") and n[6:].isdigit()}
    disjoint = {n: ids for n, ids in matched.items() if n not in fractions.values()}
    if fractions and "train" not in disjoint:
        # Fractions lie inside each other, so the largest alone is compared with val and test.
        largest = fractions[max(fractions)]
        disjoint = {largest: matched[largest], **disjoint}
    ladder = {fraction: set(matched[name]) for fraction, name in fractions.items()}
    if "train" in matched:
        ladder.setdefault(100, set(matched["train"]))
    problems = doubled + overlaps(disjoint, frame)
    problems += _unmatched_overlaps({name: unmatched[name] for name in disjoint})
    for small, large in pairwise(sorted(ladder)):
        if outside := ladder[small] - ladder[large]:
            problems.append(f"{small} % is not inside {large} %: {listed(outside)}")
    sizes = {name: len(ids) for name, ids in matched.items()}
    return Audit(sizes, class_counts(matched, frame), problems, unmatched)


def _unmatched_overlaps(unmatched: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one line per pair of lists that share a line which no image of the manifest has."""
    return [
        f"names both in {first} and {second}, not in the manifest: {listed(shared)}"
        for first, second in combinations(unmatched, 2)
        if (shared := {*map(first_cell, unmatched[first])} & {*map(first_cell, unmatched[second])})
    ]


def audit_split(manifest: Path, *, split: Path | None = None, lists: tuple[str, ...] = ()) -> None:
    """Audit a split: overlaps by image, patient and pixels, nestedness, class counts.

    Args:
        manifest: the prepared data set, FILE.parquet.
        split: the split to audit; by default the one beside the manifest, unless lists are given.
        lists: a peer's list files instead, NAME=FILE. NAME is train, val or test, or train_1,
            train_10 ... for label fractions. A file has one image a line, by id, path or name, with
            other columns behind or before it.

    Raises:
        UserError: the split has an overlap or is not nested, or a list names an image that the
            manifest does not have; the ids are printed.
    """
    frame, meta = tables.read(manifest, "manifest")
    if lists:
        pairs = [entry.partition("=") for entry in lists]
        if bad := [name for name, equals, file in pairs if not (equals and file)]:
            raise UserError(f"--lists {bad[0]}: expected NAME=FILE, e.g. train=train.txt")
        index = NameIndex(frame)
        audited = audit({name: read_list(Path(file), index) for name, _, file in pairs}, frame)
    else:
        table, _ = tables.read(split or manifest.with_suffix(".split.parquet"), "split")
        audited = audit(_subsets_of(table), frame)
        audited.problems.extend(not_nested(table))
    _show(audited, str(meta.get("dataset", manifest)))
    problems = audited.problems + _not_found(audited, manifest, lists)
    if problems:
        raise UserError(f"{len(problems)} problem(s) in the split:\n" + "\n".join(problems))


def _not_found(audited: Audit, manifest: Path, lists: tuple[str, ...]) -> list[str]:
    """Return one line per list with names that were compared with nothing: it is not cleared."""
    files = {name: file for name, _, file in (entry.partition("=") for entry in lists)}
    return [
        f"{name}: {len(entries)} of {len(entries) + audited.sizes[name]} names were not found in "
        f"{manifest} (or fit several of its images), so their overlaps are unknown: "
        f"{listed(map(first_cell, entries), 5)}; correct {files[name]}"
        for name, entries in audited.unmatched.items()
        if entries
    ]


def _subsets_of(table: pd.DataFrame) -> dict[str, list[str]]:
    subsets = {str(name): part for name, part in table.groupby("subset")}
    return {
        name: list(subsets[name].image_id.unique())
        for name in ("train", "val", "test")
        if name in subsets
    }


def _show(audited: Audit, dataset: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table("list", "images", "class", "positive", "negative", "uncertain or unknown")
    for row in audited.counts.itertuples(index=False):
        subset, label, positive, negative, other = map(str, row)
        cells = (subset, audited.sizes[subset], label, positive, negative, other)
        # Not as text: names of lists and classes may look like marks of a style.
        table.add_row(*(Text(printable(cell)) for cell in cells))
    say(f"{dataset}: {', '.join(f'{n} {size}' for n, size in audited.sizes.items())}")
    console.print(table)
    if not audited.problems and not any(audited.unmatched.values()):
        console.print("no image, patient or pixel hash in two sets; fractions are nested")


main_audit = audit_split
