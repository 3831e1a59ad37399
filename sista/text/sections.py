"""Sections of a radiology report by the public rules of the MIMIC-CXR project.

Own code after those rules (Johnson et al., 2019; tables in `sista.text.mimic_rules`): a header is a
new line, one blank, capitals, a colon and white space.
"""

import re
from dataclasses import dataclass

from sista.text.mimic_rules import PARTS, SECTION_OF_STUDY, TEXT_OF_STUDY, TITLES, VIEWS

HEADER = re.compile(r"\n ([A-Z ()/,-]+):\s")
BLANK_LINE = "\n \n"
CHOICE = ("impression", "findings", "last_paragraph", "comparison")
_VIEW = re.compile("|".join(VIEWS))


@dataclass(frozen=True)
class Section:
    """One section: normalised name, character offset of its text, and the text as it stands."""

    name: str
    start: int
    text: str


def normalise(header: str) -> str:
    """Return the common name of a section header such as "CLINICAL HISTORY".

    A title of the table is taken whole; else the first of `PARTS` that it contains names it; else a
    word of a view ("CHEST (PORTABLE AP)") makes it findings.
    """
    title = header.strip().lower()
    if title in TITLES:
        return TITLES[title]
    for part in PARTS:
        if part in title:
            return part
    return "findings" if _VIEW.search(title) else title


def parse(text: str) -> list[Section]:
    """Return the sections of a report in order; never raises on any text.

    Text before the first header is `preamble`; without a header the whole is `full report`. Empty
    impression and findings sections are left out. Where neither is left, all after the first blank
    line of the last section becomes `last_paragraph`, whose `start` is that of the blank line.
    """
    sections = _split(text)
    kept = [
        section
        for section in sections
        if section.name not in ("impression", "findings") or section.text.strip()
    ]
    if kept and not any(section.name in ("impression", "findings") for section in kept):
        last = kept[-1]
        before, blank, after = last.text.partition(BLANK_LINE)
        if blank:
            kept[-1] = Section(last.name, last.start, before)
            kept.append(Section("last_paragraph", last.start + len(before), after))
    return kept


def _split(text: str) -> list[Section]:
    match = HEADER.search(text)
    if match is None:
        return [Section("full report", 0, text)]
    sections = [Section("preamble", 0, text[: match.start(1)])]
    while match is not None:
        start = match.end()
        # A second header on the same line is not one.
        following = HEADER.search(text, max(text.find("\n", start), start))
        end = following.start() if following else len(text)
        sections.append(Section(normalise(match.group(1)), start, text[start:end]))
        match = following
    return sections


def last_of(sections: list[Section], name: str) -> str | None:
    """Return the stripped text of the last section called `name`, or None."""
    texts = [section.text.strip() for section in sections if section.name == name]
    return texts[-1] if texts else None


def choose(sections: list[Section]) -> tuple[int | None, str]:
    """Return index and stripped text of the section that stands for the report.

    It is the last section of the first name present in: impression, findings, last_paragraph,
    comparison. None of them: `(None, "")`.
    """
    for name in CHOICE:
        indices = [index for index, section in enumerate(sections) if section.name == name]
        if indices:
            return indices[-1], sections[indices[-1]].text.strip()
    return None, ""


def reading(report: str, study: str | None = None) -> str:
    """Return the one text that stands for a report, as MIMIC-CXR's own section files have it.

    That is the section that `choose` picks. For the 54 studies of MIMIC-CXR that this would misread
    the place is given by hand.

    Args:
        report: the whole text of the file.
        study: the name of the file without its ending, such as `s50913680`; None = no such study.
    """
    if study in TEXT_OF_STUDY:
        first, end = TEXT_OF_STUDY[study]
        return report[first:end]
    sections = parse(report)
    by_hand = last_of(sections, SECTION_OF_STUDY[study]) if study in SECTION_OF_STUDY else None
    return choose(sections)[1] if by_hand is None else by_hand
