"""What a check found: counts for anybody, and the images for the owner of the data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        text: what is wrong, without a name of an image or a patient, or a word of a report.
        count: how many (films, pairs, names).
        images: image ids, each with another id or a detail beside it; private.
    """

    text: str
    count: int
    images: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """One check of one data set.

    Attributes:
        check: its word.
        title: what is looked for.
        looked: how many films it could look at.
        findings: empty where all is well.
    """

    check: str
    title: str
    looked: int
    findings: tuple[Finding, ...] = ()

    @property
    def found(self) -> int:
        """Return how much is wrong."""
        return sum(finding.count for finding in self.findings)


def of_images(text: str, images: Sequence[str], details: Iterable[str] = ()) -> list[Finding]:
    """Return a finding about each of the images, or none where there is no image."""
    beside = list(details) or [""] * len(images)
    named = tuple(zip(images, beside, strict=True))
    return [Finding(text, len(named), named)] if named else []
