"""Several radiologists read a film: one label and one set of boxes by a named rule."""

from collections.abc import Mapping, Sequence

from sista.preparation.image_record import Box

# Of the readers of a film: at least one, more than half, or each of them.
RULES = ("majority", "any", "all")
# Boxes of one label that overlap by this much (intersection over union) are one finding.
OVERLAP = 0.4


def needed(readers: int, rule: str) -> int:
    """Return how many of `readers` must agree.

    Raises:
        ValueError: unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}; valid: {', '.join(RULES)}")
    return {"any": 1, "majority": readers // 2 + 1, "all": readers}[rule]


def agreed_labels(readings: Sequence[Mapping[str, float]], rule: str) -> dict[str, float]:
    """Return 1 for each label that enough readers gave, else 0.

    Args:
        readings: label -> 1 or 0, of each reader.
        rule: one of `RULES`.
    """
    least = needed(len(readings), rule)
    names = dict.fromkeys(name for reading in readings for name in reading)
    return {
        name: float(sum(reading.get(name, 0.0) > 0 for reading in readings) >= least)
        for name in names
    }


def agreed_boxes(readings: Sequence[Sequence[Box]], rule: str) -> tuple[Box, ...]:
    """Return the mean box of each finding that enough readers marked.

    A box belongs to the first finding of its label that it overlaps with and that its reader has
    not marked yet; the order of readers is that of the source.

    Args:
        readings: the boxes of each reader; one who marked nothing counts as well.
        rule: one of `RULES`.
    """
    findings: list[dict[int, Box]] = []
    for reader, boxes in enumerate(readings):
        for box in boxes:
            fitting = (
                marks
                for marks in findings
                if reader not in marks and _overlap(_mean(marks), box) >= OVERLAP
            )
            marks = next(fitting, None)
            if marks is None:
                findings.append({reader: box})
            else:
                marks[reader] = box
    least = needed(len(readings), rule)
    return tuple(_mean(marks) for marks in findings if len(marks) >= least)


def _mean(marks: Mapping[int, Box]) -> Box:
    boxes = list(marks.values())
    x, y, w, h = (sum(getattr(b, side) for b in boxes) / len(boxes) for side in "xywh")
    return Box(boxes[0].label, x, y, w, h, boxes[0].where)


def _overlap(a: Box, b: Box) -> float:
    """Return intersection over union; 0 for boxes of different labels."""
    if a.label != b.label:
        return 0.0
    width = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    height = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    shared = max(width, 0.0) * max(height, 0.0)
    union = a.w * a.h + b.w * b.h - shared
    return shared / union if union > 0 else 0.0
