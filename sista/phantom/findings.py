"""Findings: what one study shows, drawn from skewed patterns of disease."""

from dataclasses import dataclass, replace

import numpy as np

SEVERITIES = ("mild", "moderate", "severe")
ZONES = ("upper", "mid", "lower")


@dataclass(frozen=True)
class Finding:
    """One finding of a study.

    Args:
        kind: one of `KINDS`.
        side: `right`, `left` or `bilateral`; empty where a side makes no sense.
        zone: `upper`, `mid`, `lower` or empty.
        severity: `mild`, `moderate` or `severe`.
        certain: whether the report states it without doubt.
        visible: whether it is drawn; an uncertain finding may be absent from the film.
        place: three numbers in 0..1 that vary position and shape.
    """

    kind: str
    side: str = ""
    zone: str = ""
    severity: str = "moderate"
    certain: bool = True
    visible: bool = True
    place: tuple[float, float, float] = (0.5, 0.5, 0.5)

    @property
    def sides(self) -> tuple[str, ...]:
        """The lungs concerned."""
        return ("right", "left") if self.side == "bilateral" else (self.side,)

    @property
    def grade(self) -> int:
        """Severity as 0, 1 or 2."""
        return SEVERITIES.index(self.severity)


KINDS = (
    "opacity",
    "consolidation",
    "effusion",
    "pneumothorax",
    "cardiomegaly",
    "edema",
    "atelectasis",
    "nodule",
    "covid",
    "emphysema",
    "fibrosis",
    "pleural_thickening",
    "hernia",
    "foreign_object",
)

# Patterns seen in hospital films with their weights: few are frequent, many are rare, so that
# abnormal studies repeat each other too.
PATTERNS: dict[str, dict[tuple[str, ...], float]] = {
    "hospital": {
        ("cardiomegaly", "edema", "effusion"): 14,
        ("atelectasis",): 12,
        ("atelectasis", "effusion"): 10,
        ("consolidation",): 15,
        ("opacity",): 11,
        ("cardiomegaly",): 9,
        ("cardiomegaly", "edema"): 7,
        ("consolidation", "effusion"): 7,
        ("effusion",): 6,
        ("pneumothorax",): 7,
        ("nodule",): 7,
        ("edema", "effusion"): 3,
        ("cardiomegaly", "atelectasis"): 3,
        ("consolidation", "atelectasis"): 3,
        ("opacity", "cardiomegaly"): 2,
        ("edema",): 2,
        ("pneumothorax", "effusion"): 2,
        ("nodule", "opacity"): 1,
    },
    "pneumonia": {
        ("opacity",): 26,
        ("consolidation",): 20,
        ("consolidation", "opacity"): 6,
        ("consolidation", "effusion"): 5,
        ("cardiomegaly",): 8,
        ("effusion",): 7,
        ("cardiomegaly", "edema"): 6,
        ("atelectasis",): 7,
        ("nodule",): 5,
        ("pneumothorax",): 3,
    },
    "pneumothorax": {
        ("pneumothorax",): 45,
        ("pneumothorax", "effusion"): 5,
        ("consolidation",): 9,
        ("effusion",): 9,
        ("cardiomegaly",): 8,
        ("atelectasis",): 8,
        ("cardiomegaly", "edema"): 6,
        ("nodule",): 4,
    },
    "foreign": {
        ("foreign_object",): 70,
        ("foreign_object", "cardiomegaly"): 6,
        ("foreign_object", "opacity"): 8,
        ("opacity",): 6,
        ("cardiomegaly",): 5,
    },
    "covid": {("covid",): 42, ("consolidation",): 25, ("consolidation", "effusion"): 8},
    "nih": {
        ("opacity",): 14,
        ("effusion",): 11,
        ("atelectasis",): 11,
        ("consolidation",): 9,
        ("cardiomegaly",): 8,
        ("cardiomegaly", "edema", "effusion"): 7,
        ("pneumothorax",): 8,
        ("nodule",): 9,
        ("emphysema",): 6,
        ("fibrosis",): 6,
        ("pleural_thickening",): 6,
        ("hernia",): 4,
        ("cardiomegaly", "edema"): 4,
        ("emphysema", "pneumothorax"): 2,
    },
}


def sample_findings(
    rng: np.random.Generator, patterns: str, normal_share: float
) -> tuple[Finding, ...]:
    """Draw the findings of one study; empty for a normal one."""
    if rng.random() < normal_share:
        return ()
    table = PATTERNS[patterns]
    weights = np.array(list(table.values()), dtype=float)
    pattern = list(table)[rng.choice(len(weights), p=weights / weights.sum())]
    return tuple(_sample(rng, kind) for kind in pattern)


def progress(rng: np.random.Generator, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings of a follow-up film: each stays, or its severity moves by one grade."""
    later = []
    for finding in findings:
        step = int(rng.choice([-1, 0, 0, 0, 1]))
        grade = min(2, max(0, finding.grade + step))
        later.append(replace(finding, severity=SEVERITIES[grade], certain=True, visible=True))
    return tuple(later)


def _sample(rng: np.random.Generator, kind: str) -> Finding:
    severity = SEVERITIES[rng.choice(3, p=[0.3, 0.45, 0.25])]
    u = rng.random(3)
    place = (float(u[0]), float(u[1]), float(u[2]))
    side = str(rng.choice(["right", "left", "bilateral"], p=_side_shares(kind)))
    zone = ""
    if kind in {"opacity", "consolidation", "nodule"}:
        zone = ZONES[rng.choice(3, p=[0.25, 0.3, 0.45])]
    elif kind == "atelectasis":
        zone = "lower" if rng.random() < 0.75 else "mid"
    elif kind == "pneumothorax":
        zone = "upper"
    elif kind == "effusion":
        zone = "lower"
    if kind in {"cardiomegaly", "hernia", "foreign_object"}:
        side = ""
    certain = kind == "foreign_object" or rng.random() > 0.16
    # About half of what a reader suspects is there.
    visible = certain or rng.random() < 0.55
    return Finding(kind, side, zone, severity if certain else "mild", certain, visible, place)


def _side_shares(kind: str) -> list[float]:
    both = {
        "effusion": 0.35,
        "atelectasis": 0.3,
        "edema": 1.0,
        "covid": 1.0,
        "emphysema": 1.0,
        "fibrosis": 1.0,
        "opacity": 0.2,
        "consolidation": 0.12,
    }.get(kind, 0.0)
    return [(1 - both) * 0.55, (1 - both) * 0.45, both]
