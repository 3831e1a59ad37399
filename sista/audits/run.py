"""All checks of some data sets, one after the other, then of the data sets against each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from sista.audits import annotations, overlaps, shortcuts
from sista.audits.finding import Outcome, of_images
from sista.audits.near_duplicates import Pairs, Thumbnails, descriptors, near_pairs, thumbnails
from sista.audits.subject import Subject

ALL = "all"
# Of data sets against each other: what they may share.
BETWEEN = ("pixel_overlap", "near_overlap", "patient_overlap")


@dataclass
class Audit:
    """What was found.

    Attributes:
        outcomes: of every check, with the data set's name.
        sizes: data set, films, patients, studies.
        classes: class counts by data set and subset.
        told: shortcut tests.
    """

    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)
    sizes: list[tuple[str, int, int, int]] = field(default_factory=list)
    classes: list[pd.DataFrame] = field(default_factory=list)
    told: list[shortcuts.Told] = field(default_factory=list)

    def refused(self, accept: Sequence[str]) -> list[str]:
        """Return the words of the checks that found something and are not accepted."""
        return [
            each.check for _, each in self.outcomes if each.findings and each.check not in accept
        ]

    def lines(self) -> Iterator[str]:
        """Yield one line for each finding, without the name of an image."""
        for dataset, each in self.outcomes:
            for finding in each.findings:
                yield f"{dataset}: {each.check}: {finding.count} of {each.looked}: {finding.text}"


def run_checks(subjects: Sequence[Subject]) -> Audit:
    """Run all checks on data sets and, of several, on all of them together.

    Raises:
        UserError: a container of prepared images is damaged.
    """
    audit = Audit()
    small = {s.name: thumbnails(s.frame, s.container) for s in subjects if s.container is not None}
    for subject in subjects:
        frame = subject.frame
        size = (len(frame), frame["patient_id"].nunique(), frame["study_id"].nunique())
        audit.sizes.append((subject.name, *size))
        counts = overlaps.class_counts(subject)
        audit.classes.append(counts.assign(dataset=subject.name))
        told = []
        if subject.name in small:
            told = shortcuts.shortcuts(subject, small[subject.name].grey)
        audit.told += told
        for outcome in checks_of(subject, small.get(subject.name)):
            audit.outcomes.append((subject.name, outcome))
        audit.outcomes.append((subject.name, shortcuts.outcome(told)))
    if len(subjects) > 1:
        audit.outcomes += [(ALL, outcome) for outcome in _between(subjects, small, audit)]
    return audit


def checks_of(subject: Subject, small: Thumbnails | None) -> Iterator[Outcome]:
    """Yield every check of one data set but the shortcut tests.

    Args:
        subject: the data set.
        small: its thumbnails; None = pixels are not looked at.
    """
    near = {} if small is None else _unequal(near_pairs(descriptors(small)), subject.frame)
    yield from overlaps.read_faults(subject)
    yield from overlaps.shared(subject)
    yield from overlaps.copies(subject, near)
    if small is not None:
        ids = subject.frame["image_id"].to_numpy(dtype=object)
        blank = of_images("a film without contrast", list(ids[small.blank]))
        yield Outcome("blank", "films that show nothing", len(ids), tuple(blank))
    yield overlaps.nested(subject)
    yield overlaps.classes(subject)
    yield annotations.labels(subject, {f"films: {form}": rows for form, rows in near.items()})
    yield annotations.boxes(subject)
    yield annotations.masks(subject)
    yield from annotations.texts(subject)


def _unequal(near: dict[str, Pairs], frame: pd.DataFrame) -> dict[str, Pairs]:
    """Return the pairs whose pixels are not equal: those are found by their hash."""
    pixels = pd.factorize(frame["content_hash"])[0]
    return {form: rows[pixels[rows[:, 0]] != pixels[rows[:, 1]]] for form, rows in near.items()}


def _between(
    subjects: Sequence[Subject], small: dict[str, Thumbnails], audit: Audit
) -> Iterator[Outcome]:
    columns = ["image_id", "patient_id", "content_hash"]
    frames = [
        s.frame[columns].assign(image_id=f"{s.name}: " + s.frame["image_id"]) for s in subjects
    ]
    frame = pd.concat(frames, ignore_index=True)
    # A bare number is another person in each data set.
    bare = frame["patient_id"].str.fullmatch(r"\d+")
    frame["patient_id"] = np.where(bare, frame["image_id"], frame["patient_id"])
    ends = np.cumsum([0, *(len(s.frame) for s in subjects)])
    rows = {s.name: np.arange(ends[n], ends[n + 1]) for n, s in enumerate(subjects)}
    joint = replace(subjects[0], name=ALL, frame=frame, subsets=rows)
    near: dict[str, Pairs] = {}
    if len(small) == len(subjects):
        grey = {name: thumbs.grey for name, thumbs in small.items()}
        together = Thumbnails(np.concatenate([grey[s.name] for s in subjects]))
        near = _unequal(near_pairs(descriptors(together)), frame)
        told = shortcuts.shortcut_of_sets(subjects, grey)
        audit.told += told
        yield shortcuts.outcome(told)
    for outcome in (*overlaps.shared(joint), *overlaps.copies(joint, near)):
        if outcome.check in BETWEEN:
            findings = tuple(replace(each, text=_of_sets(each.text)) for each in outcome.findings)
            yield replace(outcome, title=_of_sets(outcome.title), findings=findings)


def _of_sets(text: str) -> str:
    return text.replace("two subsets", "two data sets")
