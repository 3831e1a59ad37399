"""What a report says is there: clauses that state findings, after negation and normality.

Clause splitting and negation scope in the manner of NegEx (Chapman et al., 2001). A stable finding
is a finding; an examination's description is none.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from sista.text.cleaning import clauses, sentence_spans
from sista.text.lexicon import (
    AFTER,
    ANY_FINDING,
    BEFORE,
    BREAK,
    FINDINGS,
    GONE,
    NAMED_FINDING,
    NEUTRAL,
    NORMAL,
    PSEUDO,
)

NORMAL_STUDY = "normalstudy"
_CUE = re.compile(
    rf"(?P<pseudo>\b(?:{PSEUDO})\b)|(?P<gone>\b(?:{GONE})\b)|(?P<after>\b(?:{AFTER})\b)"
    rf"|(?P<before>\b(?:{BEFORE})\b)|(?P<comma>,)|(?P<break>\b(?:{BREAK})\b)"
)
_BREAK = re.compile(rf"\b(?:{BREAK})\b")
_END_OF_LIST = re.compile(r"\b(?:or|nor)\b")
_VERB = re.compile(r"\b(?:is|are|has|have|shows?|remains?|appears?)\b")
_SIZED = re.compile(
    r"\b(?:small|tiny|large|mild|mildly|moderate|severe|minimal|left|right|bilateral|stable|chronic"
    r"|unchanged|old|new|persistent|increas\w+)\b"
)
_OTHER_SUBJECT = re.compile(
    r" ?(?:the )?(?:heart|cardiac|lungs?|mediastin\w+|aorta|trachea|bon\w+)\b"
)
_JOINT = re.compile(r" ?, ?|\b(?:and|with)\b")
# Left out of what is kept: they change from report to report and tell nothing of the finding.
_DROPPED = re.compile(
    r"\b(?:a|an|the|is|are|was|were|be|been|there|this|that|it|has|have|again|noted|seen|stable|"
    r"unchanged|identified|demonstrated|demonstrates?|shows?|reveals?|portable|views?|frontal|"
    r"pa|ap|radiographs?|evidence|findings?|likely|appears?|remains?|persistent|present)\b"
)


def findings_text(report: str) -> str:
    """Return only the clauses of a report that state a finding, or one token for a normal study.

    Left out are clauses that negate, that call something normal, or that name no finding and only
    anatomy, the examination or its course, since word statistics cannot tell "no pleural effusion"
    from "pleural effusion".
    """
    return " . ".join(stated(report)) or NORMAL_STUDY


def states_finding(sentence: str) -> bool:
    """Say whether a sentence of a clean report states a finding."""
    return bool(stated(sentence))


def stated_spans(report: str) -> list[tuple[int, int]]:
    """Return where a clean report states findings: (first character, past the last) a sentence."""
    return [(a, b) for a, b in sentence_spans(report) if states_finding(report[a:b])]


def finding_labels(reports: Sequence[str]) -> NDArray[np.float64]:
    """Return which findings of the lexicon each report states, `[N, C]` of 0 and 1.

    The general class `other` counts only where no named finding does.
    """
    names = [name for name in FINDINGS if name != "other"]
    labels = np.zeros((len(reports), len(names) + 1))
    for row, report in enumerate(reports):
        clauses_kept = stated(report)
        text = " . ".join(clauses_kept)
        labels[row, :-1] = [FINDINGS[name].search(text) is not None for name in names]
        labels[row, -1] = bool(clauses_kept) and not labels[row, :-1].any()
    return labels


@lru_cache(maxsize=100_000)
def stated(report: str) -> tuple[str, ...]:
    """Return the clauses of a clean report that state findings, in order, without filling words.

    A clause that the impression repeats stands once.
    """
    kept = (clause for sentence in clauses(report) for clause in _kept(sentence))
    return tuple(dict.fromkeys(clause for clause in kept if clause))


def _kept(sentence: str) -> Iterator[str]:
    for clause in _asserted(sentence):
        # "Normal heart size and pulmonary edema": only what names a finding stays.
        parts = _JOINT.split(clause) if NORMAL.search(clause) else [clause]
        for part in parts:
            # "Normal markings" is none: a general word needs a part without normality.
            normal = NORMAL.search(part)
            if NAMED_FINDING.search(part) or (not normal and _tells(part)):
                yield " ".join(_DROPPED.sub(" ", part).replace(",", " ").split())


def _tells(part: str) -> bool:
    """Say whether a clause has a finding, or a word that is neither neutral nor a number."""
    if ANY_FINDING.search(part):
        return True
    words = part.replace(",", " ").split()
    return any(len(w) > 2 and w not in NEUTRAL and not w[0].isdigit() for w in words)


def _asserted(sentence: str) -> list[str]:
    """Return the clauses of a sentence without their negated parts."""
    done: list[str] = []
    clause: list[str] = []
    negated = gone = False
    position = 0
    lists = _Lists(sentence)
    for cue in _CUE.finditer(sentence):
        if not negated:
            clause.append(sentence[position : cue.start()])
        position = cue.end()
        kind = cue.lastgroup
        if kind == "before":
            negated = True
        elif kind == "after":
            clause.clear()
        elif kind == "gone":
            gone = True
        elif kind == "break" or (kind == "comma" and not (negated and lists.go_on(position))):
            done += [] if gone else [" ".join("".join(clause).split())]
            clause, negated, gone = [], False, False
        elif not negated:
            clause.append(" " if kind == "pseudo" else cue.group())
    if not negated:
        clause.append(sentence[position:])
    done += [] if gone else [" ".join("".join(clause).split())]
    return [text for text in done if text]


class _Lists:
    """The words that end lists in a sentence: found once, not again after each comma.

    Args:
        sentence: whose commas are asked about.
    """

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    @cached_property
    def _starts(self) -> tuple[list[int], list[int], list[int]]:
        found = (pattern.finditer(self._sentence) for pattern in (_BREAK, _END_OF_LIST, _VERB))
        breaks, ends, verbs = ([each.start() for each in matches] for matches in found)
        return breaks, ends, verbs

    def go_on(self, position: int) -> bool:
        """Say whether what follows a comma after a negation belongs to the list before it."""
        breaks, ends, verbs = self._starts
        # A word that ends negation ends the list too.
        stop = _first(breaks, position, len(self._sentence))
        end = _first(ends, position, stop)
        # "no effusion, pneumothorax or edema": it runs to its `or`, unless a verb comes between.
        if end < stop:
            return _first(verbs, position, end) == end
        comma = self._sentence.find(",", position, stop)
        part = self._sentence[position : stop if comma < 0 else comma]
        if _OTHER_SUBJECT.match(part):
            return False
        # "no effusion, small nodule": a size, side or course begins a statement of its own.
        return not _SIZED.search(part) and not _VERB.search(part) and bool(ANY_FINDING.search(part))


def _first(starts: list[int], position: int, stop: int) -> int:
    """Return the first of sorted places in [position, stop), else `stop`."""
    index = bisect_left(starts, position)
    return starts[index] if index < len(starts) and starts[index] < stop else stop
