"""Reports that say what a film shows, in the manner of hospital readers.

Every reader keeps stock sentences of their own, so normal reports repeat word by word across
patients; abnormal ones vary with side, zone, severity and wording.
"""

import textwrap
from dataclasses import dataclass
from functools import cache

import numpy as np

from sista.phantom import phrases
from sista.phantom.findings import Finding
from sista.phantom.phrases import Stock

READERS = 40
# Probability that a reader uses their own stock sentence for a slot rather than any other.
HABIT = 0.95
CHEXPERT_LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)


@dataclass(frozen=True)
class Report:
    """One report.

    Args:
        findings: text of the FINDINGS section, may be empty.
        impression: text of the IMPRESSION section, may be empty.
        labels: CheXpert label -> 1 stated, 0 denied, -1 uncertain; not mentioned: absent.
        indication: text of the INDICATION section.
        comparison: text of the COMPARISON section.
        view: `PA` or `AP`.
    """

    findings: str
    impression: str
    labels: dict[str, int]
    indication: str
    comparison: str
    view: str

    def text(self) -> str:
        """Return the report as MIMIC-CXR stores it: section headers, lines with a leading space."""
        blocks = [
            ("EXAMINATION", f"CHEST ({'PA AND LAT' if self.view == 'PA' else 'PORTABLE AP'})"),
            ("INDICATION", self.indication),
            ("COMPARISON", self.comparison),
            ("FINDINGS", self.findings),
            ("IMPRESSION", self.impression),
        ]
        lines = [f"{'':33}FINAL REPORT"]
        for header, body in blocks:
            if body:
                gap = [f" {header}:", " "] if header in {"FINDINGS", "IMPRESSION"} else []
                start = body if gap else f"{header}:  {body}"
                lines += [*gap, *(f" {line}" for line in textwrap.wrap(start, 76)), " "]
        return "\n".join(lines[:-1]) + "\n"


def write_report(
    rng: np.random.Generator,
    findings: tuple[Finding, ...],
    devices: tuple[str, ...],
    view: str,
    follow_up: bool,
) -> Report:
    """Word a study's findings.

    Args:
        rng: source of randomness.
        findings: what the study shows or is suspected to show.
        devices: support devices on the film.
        view: `PA` or `AP`.
        follow_up: whether an earlier study of the patient exists.
    """
    # A few readers write most of the reports, each with sentences of their own.
    reader = int(min(READERS - 1, rng.geometric(0.09) - 1))
    labels: dict[str, int] = {}
    positive = [_sentences(rng, reader, finding, labels, follow_up) for finding in findings]
    body = [first for first, _ in positive]
    # Denials come after the statements: a stated label is never overwritten.
    body += _denials(rng, reader, findings, labels)
    spoken = [name for name in devices if rng.random() < (0.2 if name == "leads" else 0.7)]
    if spoken:
        labels.setdefault("Support Devices", 1)
        body += [_pick(rng, phrases.DEVICE_PHRASES[name]) for name in spoken]
    if rng.random() < (0.3 if findings else 0.05):
        body.append(_pick(rng, phrases.EXTRAS))
    if not findings:
        labels["No Finding"] = 1
    # Some reports lack a section, as real ones do.
    shape = rng.random()
    minor = all(f.kind in phrases.MINOR and f.severity == "mild" and f.certain for f in findings)
    said = [] if minor and shape >= 0.5 else [short for _, short in positive]
    impression = _impression(rng, reader, said, bool(findings))
    prior = "Chest radiograph ___." if follow_up else _pick(rng, phrases.COMPARISONS)
    return Report(
        findings="" if shape < 0.05 else " ".join(body),
        impression="" if 0.05 <= shape < 0.08 else impression,
        labels=labels,
        indication=_pick(rng, phrases.INDICATIONS),
        comparison=prior,
        view=view,
    )


def _pick(rng: np.random.Generator, pool: tuple[str, ...]) -> str:
    return pool[int(rng.integers(len(pool)))]


def _stock(rng: np.random.Generator, reader: int, slot: int, pool: tuple[Stock, ...]) -> Stock:
    """Return the reader's own sentence for a slot, or at times another one."""
    own = int(_habit(reader, slot) * len(pool))
    return pool[own if rng.random() < HABIT else int(rng.integers(len(pool)))]


@cache
def _habit(reader: int, *slot: int) -> float:
    """Return a reader's fixed number in 0..1 for one decision."""
    return float(np.random.default_rng([reader, *slot]).random())


def _denials(
    rng: np.random.Generator, reader: int, findings: tuple[Finding, ...], labels: dict[str, int]
) -> list[str]:
    """Return stock sentences about everything that is not found."""
    kinds = {finding.kind for finding in findings}
    slots: list[tuple[int, tuple[Stock, ...], float]] = []
    airspace = kinds & {"opacity", "consolidation", "covid", "atelectasis", "nodule", "fibrosis"}
    if not airspace and "edema" not in kinds:
        slots.append((0, phrases.LUNGS, 1.0))
    elif not kinds & {"consolidation", "opacity", "covid"}:
        slots.append((1, phrases.NO_CONSOLIDATION, 0.5))
    pools = {
        (False, False): phrases.PLEURA,
        (True, False): phrases.NO_PNEUMOTHORAX,
        (False, True): phrases.NO_EFFUSION,
    }
    pleura = ("effusion" in kinds, "pneumothorax" in kinds)
    if pleura in pools:
        slots.append((2, pools[pleura], 0.9))
    if "cardiomegaly" not in kinds:
        slots.append((3, phrases.HEART, 0.95))
    if "edema" not in kinds:
        slots.append((4, phrases.NO_EDEMA, 0.2))
    slots.append((5, phrases.MEDIASTINUM, 0.3))
    slots.append((6, phrases.BONES, 0.35))
    # The order of the sentences is the reader's own too.
    slots.sort(key=lambda entry: _habit(reader, entry[0], 99))
    sentences = []
    for slot, pool, share in slots:
        # A habit again: a reader mentions a slot always or never, most of the time.
        habit = _habit(reader, slot, 7) < share
        if (habit if rng.random() < HABIT else rng.random() < share) or share == 1.0:
            sentence, denied = _stock(rng, reader, slot, pool)
            sentences.append(sentence)
            for label in denied:
                labels.setdefault(label, 0)
    return sentences


def _sentences(
    rng: np.random.Generator,
    reader: int,
    finding: Finding,
    labels: dict[str, int],
    follow_up: bool,
) -> tuple[str, str]:
    """Return the sentence for FINDINGS and the phrase for IMPRESSION; note the labels."""
    value = 1 if finding.certain else -1
    for label in phrases.LABELS[finding.kind]:
        # Stated (1) wins over uncertain (-1).
        labels[label] = max(labels.get(label, value), value)
    templates = phrases.STATED[finding.kind]
    long = _words(rng, finding, _own(rng, reader, finding.kind, templates))
    short = _words(rng, finding, phrases.SHORT[finding.kind])
    if not finding.certain:
        return _cased(_pick(rng, phrases.DOUBTS).format(what=long)), f"possible {short}"
    if finding.kind in {"consolidation", "opacity"} and rng.random() < 0.4:
        doubt = rng.random() < 0.6
        labels["Pneumonia"] = max(labels.get("Pneumonia", -1), -1 if doubt else 1)
        short += ", concerning for pneumonia" if doubt else ", consistent with pneumonia"
    openings = phrases.OPENINGS if follow_up else phrases.OPENINGS[:-1]
    sentence = _cased(_own(rng, reader, "opening", openings).format(what=long))
    if follow_up and rng.random() < 0.25:
        short += f", {_pick(rng, phrases.CHANGES)}"
    return sentence, short


def _own(rng: np.random.Generator, reader: int, slot: str, pool: tuple[str, ...]) -> str:
    """Return a reader's own choice of a pool, or at times another one."""
    own = (reader + sum(slot.encode())) % len(pool)
    return pool[own] if rng.random() < HABIT else _pick(rng, pool)


def _words(rng: np.random.Generator, finding: Finding, template: str) -> str:
    """Fill a template with the severity, side and zone of a finding."""
    scale = phrases.SIZES if finding.kind in phrases.SIZED else phrases.GRADES
    grade = _pick(rng, scale[finding.severity])
    grade = "" if rng.random() < 0.12 else grade
    zone = _pick(rng, phrases.ZONE_WORDS[finding.zone]) if finding.zone else "lung"
    if finding.side == "bilateral":
        place = f"{zone}s bilaterally" if rng.random() < 0.5 else f"bilateral {zone}s"
        sides = "bilateral"
    else:
        place = f"{finding.side} {zone}"
        sides = finding.side if rng.random() < 0.6 else f"{finding.side}-sided"
    text = template.format(grade=grade, place=place, sides=sides)
    return " ".join(text.split())


def _cased(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _impression(rng: np.random.Generator, reader: int, shorts: list[str], abnormal: bool) -> str:
    """Return the IMPRESSION: a stock line for a normal study, else the findings in short."""
    if not shorts:
        # The last two say that the film is normal, which one with a slight finding is not.
        lines = phrases.NORMAL_IMPRESSIONS[: -2 if abnormal else None]
        return _stock(rng, reader, 8, tuple((line, ()) for line in lines))[0]
    if len(shorts) > 1 and rng.random() < 0.35:
        return " ".join(f"{i}. {_cased(short)}." for i, short in enumerate(shorts, 1))
    if len(shorts) > 1 and rng.random() < 0.4:
        shorts = shorts[:1] + [short.split(",")[0] for short in shorts[1:]]
        return _cased(" and ".join([", ".join(shorts[:-1]), shorts[-1]])) + "."
    return " ".join(f"{_cased(short)}." for short in shorts)
