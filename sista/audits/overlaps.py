"""Checks of subsets: shared images, patients and pixels, copies, fractions, names, classes."""

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sista.audits.finding import Finding, Outcome, of_images
from sista.audits.near_duplicates import Pairs
from sista.audits.subject import Subject

READING = {
    "unreadable": ("films that cannot be read", "a film that cannot be read"),
    "mask_unusable": ("masks that cannot be drawn", "a mask that does not fit its film"),
    "annotation_frame": (
        "annotations in an unknown frame",
        "boxes whose frame cannot be told or that leave it",
    ),
    "listed_twice": ("images that stand twice in a list", "an image that a list names twice"),
}


def read_faults(subject: Subject) -> Iterator[Outcome]:
    """Yield what went wrong while the data were read, and names that no image has."""
    for check, (title, text) in READING.items():
        faults = subject.faults.get(check, [])
        found = of_images(text, [name for name, _ in faults], [why for _, why in faults])
        yield Outcome(check, title, len(subject.frame), tuple(found))
    lost = [
        Finding(f"names in {name} that no image has", len(names), tuple((n, "") for n in names))
        for name, names in subject.unmatched.items()
    ]
    yield Outcome("unmatched", "names that fit no image", len(subject.frame), tuple(lost))


def shared(subject: Subject) -> Iterator[Outcome]:
    """Yield what subsets share: images, patients, equal pixels."""
    keys = {
        "image_overlap": ("images in two subsets", "image_id"),
        "patient_overlap": ("patients in two subsets", "patient_id"),
        "pixel_overlap": ("equal pixels in two subsets", "content_hash"),
    }
    ids = _ids(subject)
    for check, (title, column) in keys.items():
        codes = pd.factorize(subject.frame[column])[0]
        found = []
        for (first, a), (second, b) in combinations(subject.subsets.items(), 2):
            both = np.intersect1d(codes[a], codes[b])
            # The same image is reported as such, not again as its pixels or its patient.
            rows = np.setxor1d(a, b) if column != "image_id" else np.union1d(a, b)
            rows = rows[np.isin(codes[rows], both)]
            found += of_images(f"{title}: {first} and {second}", list(ids[rows]))
        yield Outcome(check, title, _in_subsets(subject), tuple(found))


def copies(subject: Subject, near: Mapping[str, Pairs]) -> Iterator[Outcome]:
    """Yield films that are copies of another one, by where the other one lies.

    Args:
        subject: a data set.
        near: pairs of rows by form of likeness, of unequal pixels.
    """
    ids = _ids(subject)
    patient = pd.factorize(subject.frame["patient_id"])[0]
    pixels = pd.factorize(subject.frame["content_hash"])[0]
    of_subset = _subset_codes(subject)
    found: dict[str, list[Finding]] = {"near_overlap": [], "two_patients": [], "repeated": []}
    for form, all_pairs in {"equal pixels": equal_pairs(pixels), **near}.items():
        first, second = all_pairs[:, 0], all_pairs[:, 1]
        across = (of_subset[first] != of_subset[second]) & (of_subset[first] >= 0)
        across &= of_subset[second] >= 0
        two = ~across & (patient[first] != patient[second])
        for check, chosen, where in (
            ("near_overlap", across & (form != "equal pixels"), "in two subsets"),
            ("two_patients", two, "under two patients"),
            ("repeated", ~across & ~two, "of one patient, in one subset"),
        ):
            text = f"{form}, {where}"
            found[check] += of_images(text, list(ids[first[chosen]]), ids[second[chosen]])
    titles = {
        "near_overlap": "near copies in two subsets",
        "two_patients": "one film under two patients",
        "repeated": "a film that stands twice",
    }
    for check, title in titles.items():
        yield Outcome(check, title, len(subject.frame), tuple(found[check]))


def equal_pairs(codes: NDArray[np.intp]) -> Pairs:
    """Return pairs of rows with equal codes: each row with the next one that has its code."""
    order = np.argsort(codes, kind="stable")
    same = codes[order[1:]] == codes[order[:-1]]
    return np.stack((order[:-1][same], order[1:][same]), axis=1).astype(np.int64)


def nested(subject: Subject) -> Outcome:
    """Return label fractions that do not lie inside the next larger one."""
    ids, found = _ids(subject), []
    for draw, ladder in subject.fractions.items():
        for small, large in pairwise(sorted(ladder)):
            outside = np.setdiff1d(ladder[small], ladder[large])
            text = f"{draw}: {small} % is not inside {large} %"
            found += of_images(text, list(ids[outside]))
    looked = len(subject.subsets.get("train", ())) if subject.fractions else 0
    return Outcome("not_nested", "label fractions that are not nested", looked, tuple(found))


def class_counts(subject: Subject) -> pd.DataFrame:
    """Return positives, negatives, uncertain and blank per subset (or all) and finding."""
    subsets = subject.subsets or {"all": np.arange(len(subject.frame))}
    rows = []
    for name, chosen in subsets.items():
        for label in subject.labels:
            values = subject.values(label)[chosen]
            known = [int((values == wanted).sum()) for wanted in (1, 0, -1)]
            rows.append((name, len(chosen), label, *known, int(np.isnan(values).sum())))
    columns = ["subset", "films", "class", "positive", "negative", "uncertain", "blank"]
    return pd.DataFrame(rows, columns=columns)


def classes(subject: Subject) -> Outcome:
    """Return classes that a subset cannot train or score: no positive, or nothing else."""
    found = []
    for row in class_counts(subject).to_dict("records"):
        for lacks, why in (
            (row["positive"] == 0, "no positive"),
            (row["films"] == row["positive"], "no negative"),
        ):
            if lacks:
                found.append(Finding(f"{row['subset']}: {why} of {row['class']}", 1))
    looked = _in_subsets(subject) or len(subject.frame)
    return Outcome("class_missing", "classes that a subset lacks", looked, tuple(found))


def _ids(subject: Subject) -> NDArray[np.object_]:
    return subject.frame["image_id"].to_numpy(dtype=object)


def _in_subsets(subject: Subject) -> int:
    rows = [*subject.subsets.values()]
    return len(np.unique(np.concatenate(rows))) if rows else 0


def _subset_codes(subject: Subject) -> NDArray[np.intp]:
    codes = np.full(len(subject.frame), -1, dtype=np.intp)
    for code, rows in enumerate(subject.subsets.values()):
        codes[rows] = code
    return codes
