"""Checks of labels, boxes, masks and texts."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pycocotools import mask as coco

from sista.audits.finding import Finding, Outcome, of_images
from sista.audits.near_duplicates import Pairs
from sista.audits.overlaps import equal_pairs
from sista.audits.subject import Subject
from sista.errors import UserError
from sista.preparation.masks import run_lengths

NO_FINDING = "No Finding"
# CheXpert's labeller allows these beside "No Finding".
BESIDE_NO_FINDING = (NO_FINDING, "Support Devices")
# Native pixels by which a reader of boxes may be off at the border.
TOLERANCE = 2.0
COVERS = 0.95
# Mean of sensitivity and specificity of a name in a text. Reports that labels were read from say
# some of them nearly always; a text that was written for the label says it always.
TELLS = 0.98
FEWEST = 10
# A share is known well enough from so many texts.
MOST_TEXTS = 20_000


def labels(subject: Subject, near: Mapping[str, Pairs]) -> Outcome:
    """Return labels that contradict each other, on one film or on copies of it."""
    ids = subject.frame["image_id"].to_numpy(dtype=object)
    names = subject.labels
    found: list[Finding] = []
    if not names:
        return Outcome("label_conflict", "labels that contradict each other", 0)
    values = np.stack([subject.values(name) for name in names], axis=1)
    odd = ~(np.isnan(values) | np.isin(values, (-1.0, 0.0, 1.0)))
    found += of_images("a label that is none of 1, 0, -1, blank", list(ids[odd.any(axis=1)]))
    positive = values == 1
    if subject.multiclass:
        text = "not exactly one of the exclusive classes"
        found += of_images(text, list(ids[positive.sum(axis=1) != 1]))
    elif NO_FINDING in names:
        other = [number for number, name in enumerate(names) if name not in BESIDE_NO_FINDING]
        both = positive[:, names.index(NO_FINDING)] & positive[:, other].any(axis=1)
        found += of_images(f"{NO_FINDING} beside a finding", list(ids[both]))
    hashes = pd.factorize(subject.frame["content_hash"])[0]
    pairs = {"films of equal pixels": equal_pairs(hashes), **near}
    studies = subject.frame["study_id"]
    known = np.flatnonzero(studies.notna().to_numpy())
    if len(known):
        pairs["films of one study"] = known[equal_pairs(pd.factorize(studies.iloc[known])[0])]
    for what, rows in pairs.items():
        a, b = values[rows[:, 0]], values[rows[:, 1]]
        differ = (np.isin(a, (0, 1)) & np.isin(b, (0, 1)) & (a != b)).any(axis=1)
        first, second = ids[rows[:, 0]][differ], ids[rows[:, 1]][differ]
        found += of_images(f"other labels on {what}", list(first), second)
    return Outcome("label_conflict", "labels that contradict each other", len(ids), tuple(found))


def boxes(subject: Subject) -> Outcome:
    """Return boxes that cannot be meant, and boxes that contradict a label."""
    faults: dict[str, list[str]] = {}
    known = set(subject.labels)
    texts = subject.frame["boxes"].to_numpy(dtype=object)
    annotated = np.flatnonzero(pd.notna(texts))
    parsed = {int(row): json.loads(texts[row]) for row in annotated}
    drawn = {box["label"] for boxes in parsed.values() for box in boxes} & known
    width, height = (subject.frame[name].to_numpy() for name in ("width", "height"))
    ids = subject.frame["image_id"].to_numpy(dtype=object)
    values = {label: subject.values(label) for label in drawn}
    for row, found in parsed.items():
        told = {why for box in found for why in _box_faults(box, width[row], height[row])}
        corners = [json.dumps(box, sort_keys=True) for box in found]
        if len(set(corners)) < len(corners):
            told.add("a box that stands twice")
        here = {box["label"] for box in found}
        if any(values[label][row] == 0 for label in here & drawn):
            told.add("a box of a class whose label is negative")
        # Only where somebody looked and drew nothing: other sources box a few films.
        if not found and any(values[label][row] == 1 for label in drawn):
            told.add("a positive label of a boxed class, and no box")
        for why in told:
            faults.setdefault(why, []).append(ids[row])
    every = [finding for why in sorted(faults) for finding in of_images(why, faults[why])]
    return Outcome("box", "boxes that cannot be meant", len(annotated), tuple(every))


def _box_faults(box: Mapping[str, Any], width: int, height: int) -> Iterator[str]:
    x, y, w, h = (float(box[side]) for side in "xywh")
    if not all(map(math.isfinite, (x, y, w, h))) or min(w, h) <= 0:
        yield "an empty box"
        return
    beyond = max(-x, -y, x + w - width, y + h - height)
    if beyond > TOLERANCE:
        yield "a box that leaves its film"
    elif w > COVERS * width and h > COVERS * height:
        yield "a box over the whole film"


def masks(subject: Subject) -> Outcome:
    """Return masks that cannot be meant, and masks that contradict a label."""
    faults: dict[str, list[str]] = {}
    texts = subject.frame["mask"].to_numpy(dtype=object)
    annotated = np.flatnonzero(pd.notna(texts))
    width, height = (subject.frame[name].to_numpy() for name in ("width", "height"))
    ids = subject.frame["image_id"].to_numpy(dtype=object)
    label = subject.mask_label
    of_label = subject.values(label) if label in subject.labels and label else None
    for row in annotated:
        try:
            code = run_lengths(texts[row])
        except UserError:
            faults.setdefault("run lengths that do not fill their image", []).append(ids[row])
            continue
        share = float(coco.area(code)) / (code["size"][0] * code["size"][1])
        for wrong, why in (
            (code["size"] != [height[row], width[row]], "a mask of another size than its film"),
            (share > COVERS, "a mask over the whole film"),
            (of_label is not None and share and of_label[row] == 0, "a mask, and a negative label"),
            (
                of_label is not None and not share and of_label[row] == 1,
                "a positive label, no mask",
            ),
        ):
            if wrong:
                faults.setdefault(why, []).append(ids[row])
    every = [finding for why in sorted(faults) for finding in of_images(why, faults[why])]
    return Outcome("mask", "masks that cannot be meant", len(annotated), tuple(every))


def texts(subject: Subject) -> Iterator[Outcome]:
    """Yield texts of studies, and names of files, that say the label by its name."""
    reports = subject.frame["report"]
    paths = subject.frame["path"] + " " + subject.frame["image_id"]
    for check, title, where, column in (
        ("text_names_label", "reports that tell the label by its name", "the report", reports),
        ("name_names_label", "file names that tell the label", "the file's name", paths),
    ):
        there = np.flatnonzero(column.notna().to_numpy())
        there = np.random.default_rng(0).permutation(there)[:MOST_TEXTS]
        column = column.iloc[there]
        found = []
        for label in subject.labels if len(there) else ():
            told = column.str.contains(_pattern(label), regex=True).to_numpy(dtype=bool)
            values = subject.values(label)[there]
            positive, negative = told[values == 1], told[values == 0]
            if min(len(positive), len(negative)) < FEWEST:
                continue
            score = (positive.mean() + 1 - negative.mean()) / 2
            if score >= TELLS:
                text = f"{where} tells {label} by its name ({score:.2f} of both kinds right)"
                found.append(Finding(text, int(positive.sum())))
        yield Outcome(check, title, len(there), tuple(found))


def _pattern(label: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", label)
    return r"(?i)(?<![A-Za-z])" + r"[\W_]*".join(map(re.escape, words)) + r"(?![a-z])"
