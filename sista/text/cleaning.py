"""Cleaning of report text: our own rules for pre-training, and MGCA's as a compatibility function.

The clean text is lower case, has no de-identification marks and keeps its sentences apart.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise

from sista.text.mimic_rules import SECTION_OF_STUDY, TEXT_OF_STUDY
from sista.text.sections import last_of, parse, reading

MINIMUM_TOKENS = 3
# Names and dates stand as ___ in MIMIC-CXR, as XXXX in Open-i and as [** **] in older MIMIC
# releases; U+FFFD is a byte that could not be decoded.
# Control characters that are no white space come from damaged files.
_CONTROLS = r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
_PLAIN_MARKS = rf"_{{2,}}|\bx{{3,}}\b|\ufffd|{_CONTROLS}"
_MARKS = re.compile(rf"{_PLAIN_MARKS}|\[\*\*.*?\*\*\]", re.IGNORECASE | re.DOTALL)
_MARKS_AFTER = re.compile(_PLAIN_MARKS, re.IGNORECASE)
_LIST_NUMBER = re.compile(r"(?:(?<=^)|(?<=[.:;]\s))\s*\(?\d{1,2}[.)](?=\s)")
_TOKEN = re.compile(r"[a-z0-9]+(?:\.[0-9]+)?")
# A full stop inside a number (3.4 cm) or after a title (dr.) ends no sentence; a second one behind
# the title does. A run of marks is looked at from its start only: from each would take a square of
# its length.
_SENTENCE_END = re.compile(
    r"(?:(?<![.!?])(?<!\bdr)(?<!\bvs)(?<!\bi\.e)(?<!\be\.g)"
    r"|(?<=\bdr[.!?])|(?<=\bvs[.!?])|(?<=\bi\.e[.!?])|(?<=\be\.g[.!?]))[.!?]++(?=\s|$)|;"
)
_MGCA_NUMBER = re.compile(r"(?<![0-9])[0-9]++\.")


def clean(text: str) -> str:
    """Return text in lower case without de-identification marks and list numbers."""
    plain = _LIST_NUMBER.sub(" ", _without_marks(text.replace("\r", "\n")))
    plain = " ".join(plain.lower().split())
    return re.sub(r"\s+([.,;:])", r"\1", plain)


def _without_marks(text: str) -> str:
    # Behind the last end of a mark there is none: each beginning would be searched to the end.
    last = text.rfind("**]") + 3 if "**]" in text else 0
    return _MARKS.sub(" ", text[:last]) + _MARKS_AFTER.sub(" ", text[last:])


def sentences(text: str) -> list[str]:
    """Return the sentences of a text as space-joined lower-case alphanumeric tokens.

    Numbers keep their decimals; sentences of one word ("clear.") are kept, empty ones are not.
    """
    pieces = _SENTENCE_END.split(clean(text))
    joined = (" ".join(_TOKEN.findall(piece)) for piece in pieces)
    return [piece for piece in joined if piece]


def clauses(text: str) -> list[str]:
    """Return the sentences of a text as `sentences` does, with ` , ` at commas and colons."""
    marked = (re.sub(r"[,:]", " , ", piece) for piece in _SENTENCE_END.split(clean(text)))
    joined = (" ".join(re.findall(rf"{_TOKEN.pattern}|,", piece)) for piece in marked)
    return [piece for piece in joined if piece]


def sentence_ends(text: str) -> list[int]:
    """Return the character offsets after the marks that end a sentence, in clean text."""
    return [match.end() for match in _SENTENCE_END.finditer(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the stretches (first character, past the last) of the sentences of a clean text."""
    return [(a, b) for a, b in pairwise([0, *sentence_ends(text), len(text)]) if text[a:b].strip()]


def tokens(text: str) -> list[str]:
    """Return the lower-case alphanumeric tokens of a text without de-identification marks."""
    return [token for sentence in sentences(text) for token in sentence.split()]


def for_pretraining(report: str, study: str | None = None) -> str | None:
    """Return impression + findings of a sectioned report, clean; None under three tokens.

    Without both the text is `reading`'s: the last paragraph, or what stands under comparison.

    Args:
        report: the whole text of the file.
        study: the name of a file of MIMIC-CXR, such as `s50913680`, some of which have own rules.
    """
    sections = parse(report)
    parts = [last_of(sections, "impression"), last_of(sections, "findings")]
    if study in SECTION_OF_STUDY or study in TEXT_OF_STUDY or not any(parts):
        parts = [reading(report, study)]
    return of_parts(*parts)


def of_parts(*parts: str | None) -> str | None:
    """Return the parts of a report that a source gives one by one, clean; None under three tokens.

    Args:
        parts: in the order of pre-training: impression, findings; None or empty where it has none.
    """
    return note(" ".join(_closed(part) for part in parts if part and part.strip()))


def note(text: str) -> str | None:
    """Return free text without sections, clean; None under three tokens."""
    cleaned = clean(text)
    return cleaned if len(tokens(cleaned)) >= MINIMUM_TOKENS else None


def _closed(part: str) -> str:
    return part if part.rstrip().endswith((".", "!", "?")) else f"{part.rstrip()}."


@dataclass(frozen=True)
class MgcaCaption:
    """What MGCA's caption cleaning makes of a report.

    Args:
        status: `kept` or why the report is dropped.
        caption: impression + " " + findings in one line, None where both are missing.
        sentences: space-joined tokens per kept piece, None where the report is dropped.
        dropped_pieces: pieces of at most one token.
        n_tokens: tokens in the kept pieces.
    """

    status: str
    caption: str | None = None
    sentences: list[str] | None = None
    dropped_pieces: list[str] = field(default_factory=list)
    n_tokens: int = 0

    @property
    def joined(self) -> str | None:
        """All sentences in one line, as MGCA's tokenizer gets them."""
        return None if self.sentences is None else " ".join(self.sentences)


def mgca_caption(impression: str | None, findings: str | None) -> MgcaCaption:
    """Return the caption as MGCA cleans it (compatibility; loses "Clear." and splits "3.4 cm")."""
    if impression is None and findings is None:
        return MgcaCaption("dropped: neither impression nor findings")
    parts = (" " if part is None else part for part in (impression, findings))
    caption = " ".join(parts).replace("\n", " ")
    kept: list[list[str]] = []
    dropped: list[str] = []
    for piece in _MGCA_NUMBER.split(caption):
        for sentence in piece.split("."):
            words = [
                w.encode("ascii", "ignore").decode() for w in re.findall(r"\w+", sentence.lower())
            ]
            words = [word for word in words if word]
            if len(words) > 1:
                kept.append(words)
            elif sentence.strip():
                dropped.append(sentence.strip())
    count = sum(len(words) for words in kept)
    if count < MINIMUM_TOKENS:
        return MgcaCaption("dropped: fewer than 3 tokens", caption, None, dropped, count)
    return MgcaCaption("kept", caption, [" ".join(words) for words in kept], dropped, count)
