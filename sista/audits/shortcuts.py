"""Shortcut tests: what a thin strip along the film's border tells, which shows no lung.

A logistic regression reads the strip alone. Where it tells a label, the view, the scanner, the
subset or the data set, so may an encoder, without looking at the chest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sista.audits.finding import Finding, Outcome
from sista.audits.subject import Subject

# Of a thumbnail's 32 pixels: 6 % of the film on each side.
STRIP = 2
FOLDS = 5
# Label orders drawn by chance; how many of their standard deviations the truth must lie above.
CHANCES, SIGMAS = 12, 5.0
TOLD = 0.65
# Films of each kind.
FEWEST = 25
MOST = 1200
KINDS = 6


@dataclass(frozen=True)
class Told:
    """How well the border tells something.

    Attributes:
        dataset: that was looked at.
        what: is told: a label, view, scanner, film size, subset or data set.
        films: one of each patient.
        auroc: mean over kinds, of films of patients that were not trained on.
        chance: mean of the same with shuffled labels.
        spread: standard deviation of that.
    """

    dataset: str
    what: str
    films: int
    auroc: float
    chance: float
    spread: float

    @property
    def is_shortcut(self) -> bool:
        """Whether it is told better than by chance, and well."""
        return self.auroc >= TOLD and self.auroc > self.chance + SIGMAS * self.spread


def strips(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the border of thumbnails `[N, 32, 32]` as `[N, F]`, means over 2 x 4 pixels."""
    count, side = grey.shape[:2]
    parts = [grey[:, :STRIP], grey[:, -STRIP:]]
    parts += [grey[:, :, :STRIP].swapaxes(1, 2), grey[:, :, -STRIP:].swapaxes(1, 2)]
    cut = [part.reshape(count, STRIP, side // 4, 4).mean(axis=(1, 3)) for part in parts]
    return np.concatenate(cut, axis=1).astype(np.float32)


def told_by_border(
    dataset: str,
    what: str,
    border: NDArray[np.float32],
    kind: NDArray[np.object_],
    patient: NDArray[np.object_],
) -> Told | None:
    """Return how well the border tells a kind, None where too few films are known.

    Args:
        dataset: for the record.
        what: for the record.
        border: `[N, F]` from `strips`.
        kind: of each film, None = unknown; the most frequent ones are looked at.
        patient: of each film; one film of each is taken, so that no person is in two folds.
    """
    chance = np.random.default_rng(0)
    rows = chance.permutation(np.flatnonzero(pd.notna(kind)))
    rows = rows[np.unique(pd.factorize(patient[rows])[0], return_index=True)[1]]
    rows = chance.permutation(rows)
    counts = pd.Series(kind[rows]).value_counts()
    names = [str(name) for name, count in counts.items() if count >= FEWEST][:KINDS]
    if len(names) < 2:
        return None
    rows = rows[np.isin(kind[rows], names)][:MOST]
    if pd.Series(kind[rows]).value_counts().min() < FEWEST:
        return None
    code = pd.factorize(kind[rows])[0]
    true = _auroc(border[rows], code, patient[rows])
    shuffled = [
        _auroc(border[rows], chance.permutation(code), patient[rows]) for _ in range(CHANCES)
    ]
    return Told(dataset, what, len(rows), true, float(np.mean(shuffled)), float(np.std(shuffled)))


def _auroc(
    border: NDArray[np.float32], code: NDArray[np.intp], patient: NDArray[np.object_]
) -> float:
    """Return the mean AUROC over kinds, cross-validated by patient."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(
        model, border, code, groups=patient, cv=folds, method="predict_proba"
    )
    each = [roc_auc_score(code == kind, scores[:, kind]) for kind in range(scores.shape[1])]
    return float(np.mean(each))


def kinds_of(subject: Subject) -> Iterator[tuple[str, NDArray[np.object_]]]:
    """Yield what may be told of a data set: its name, and the kind of each film or None."""
    frame = subject.frame
    yield "view", frame["view"].to_numpy(dtype=object)
    if any(subject.scanner):
        yield "scanner", np.array(subject.scanner, dtype=object)
    sizes = frame["width"].astype(str) + " x " + frame["height"].astype(str)
    yield "film size", sizes.to_numpy(dtype=object)
    subsets = np.full(len(frame), None, dtype=object)
    for name, rows in subject.subsets.items():
        subsets[rows] = name
    yield "subset", subsets
    for label in subject.labels:
        values = subject.values(label)
        kind = np.full(len(values), None, dtype=object)
        kind[values == 1], kind[values == 0] = "positive", "negative"
        yield f"label {label}", kind


def shortcuts(subject: Subject, grey: NDArray[np.uint8]) -> list[Told]:
    """Return what the border tells of one data set."""
    patient = subject.frame["patient_id"].to_numpy(dtype=object)
    border = strips(grey)
    tested = (
        told_by_border(subject.name, what, border, kind, patient)
        for what, kind in kinds_of(subject)
    )
    return [told for told in tested if told is not None]


def shortcut_of_sets(
    subjects: Sequence[Subject], grey: Mapping[str, NDArray[np.uint8]]
) -> list[Told]:
    """Return how well the border tells several data sets from each other."""
    border = np.concatenate([strips(grey[subject.name]) for subject in subjects])
    names = [np.full(len(s.frame), s.name, dtype=object) for s in subjects]
    patient = np.concatenate([s.frame["patient_id"].to_numpy(dtype=object) for s in subjects])
    told = told_by_border("all", "data set", border, np.concatenate(names), patient)
    return [] if told is None else [told]


def outcome(told: Sequence[Told]) -> Outcome:
    """Return the check of all shortcut tests."""
    found = [
        Finding(f"the border tells the {each.what}: AUROC {each.auroc:.2f}", 1)
        for each in told
        if each.is_shortcut
    ]
    looked = max((each.films for each in told), default=0)
    return Outcome("shortcut", "what the film's border tells", looked, tuple(found))
