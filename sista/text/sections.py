"""Sections of a radiology report by the public rules of the MIMIC-CXR project.

Own code after the rules of the MIMIC-CXR report files (Johnson et al., 2019): a header is a new
line, one blank, capitals, a colon and white space.
"""

import re
from dataclasses import dataclass

HEADER = re.compile(r"\n ([A-Z ()/,-]+):\s")
BLANK_LINE = "\n \n"
CHOICE = ("impression", "findings", "last_paragraph", "comparison")
_CONTAINED = ("impression", "findings", "history", "comparison", "addendum")
_NAMES = {
    "impression": "impression, impressions, impresson, impresion, imprression, conclusion, "
    "conclusions, interpretation, assessment, opinion, summary, diagnosis, final impression",
    "findings": "findings, finding, finidngs, observations, observation, report, chest findings",
    "history": "history, clinical history, clinical information, clinical data, patient history",
    "indication": "indication, indications, reason, reason for exam, reason for examination, "
    "reason for the exam, reason for study, reason for the study, reason for this examination, "
    "clinical indication, clinical indications, indication for study",
    "comparison": "comparison, comparisons, comparison film, comparison films, comparison study",
    "technique": "technique, techniques, technical factors",
    "examination": "examination, exam, study, procedure, type of examination, type of exam",
    "recommendations": "recommendation, recommendations, recommendation(s)",
    "notification": "notification, notifications, notification(s), communication",
    "wet read": "wet read, wetread, preliminary report",
}
_TABLE = {word: name for name, words in _NAMES.items() for word in words.split(", ")}
# No word of the list is made of others, so a title is taken apart in one way and in linear time.
_VIEW_TITLE = re.compile(
    r"^(?=.*\b(?:chest|cxr|radiographs?|views?|films?|portable|ap|pa|lateral|upright|supine)\b)"
    r"(?:chest|cxr|portable|ap|pa|single|two|one|frontal|upright|supine|semi|lateral|"
    r"lat|bedside|view|views|film|films|radiograph|radiographs|x-ray|and|of|the|line|[(),/ -])+$"
)


@dataclass(frozen=True)
class Section:
    """One section: normalised name, character offset of its text, and the text as it stands."""

    name: str
    start: int
    text: str


def normalise(header: str) -> str:
    """Return the common name of a section header such as "CLINICAL HISTORY"."""
    name = header.strip().lower()
    if name in _TABLE:
        return _TABLE[name]
    for part in _CONTAINED:
        if part in name:
            return part
    return "findings" if _VIEW_TITLE.match(name) else name


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
