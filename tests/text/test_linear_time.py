"""Reports of any text: results of the plain rules, in time that grows with their length."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.text import cleaning, findings
from sista.text.cleaning import clauses, clean, for_pretraining, mgca_caption, sentence_ends
from sista.text.lexicon import ANY_FINDING, BREAK
from sista.text.sections import choose, normalise, parse

MEGABYTE = 2**20
PIECES = [
    "[**", "**]", "[**]", ".", "!", ";", "dr.", "vs.", "i.e.", "e.g.", "dr", "1.", "12", "3.4 cm",
    "x", "xxx", "XXXX", "_", "___", " ", "\n", "\r", "\n \n", ":", ",", "\n AP:", "\n FINDINGS: ",
    "\n IMPRESSION:", "SEMI-UPRIGHT ", "CHEST ", "VIEW", "VIEWS", "no effusion", "edema", " or ",
    " is ", " but ", " small ", "and the heart is ", "\ufffd", "\x00", "(1)", "( ", "ly",
]  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=25).map("".join)


def plain_clean(text: str) -> str:
    """The rules of `clean` as one would write them, in quadratic time."""
    controls = r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
    pattern = rf"_{{2,}}|\bx{{3,}}\b|\[\*\*.*?\*\*\]|\ufffd|{controls}"
    marks = re.compile(pattern, re.IGNORECASE | re.DOTALL)
    number = cleaning._LIST_NUMBER
    plain = number.sub(" ", marks.sub(" ", text.replace("\r", "\n")))
    return re.sub(r"\s+([.,;:])", r"\1", " ".join(plain.lower().split()))


PLAIN_END = re.compile(r"(?<!\bdr)(?<!\bvs)(?<!\bi\.e)(?<!\be\.g)[.!?]+(?=\s|$)|;")


def plain_list_goes_on(rest: str) -> bool:
    stop = re.search(rf"\b(?:{BREAK})\b", rest)
    rest = rest[: stop.start()] if stop else rest
    end = findings._END_OF_LIST.search(rest)
    if end:
        return findings._VERB.search(rest[: end.start()]) is None
    part = rest.partition(",")[0]
    if findings._OTHER_SUBJECT.match(part):
        return False
    other = findings._SIZED.search(part) or findings._VERB.search(part)
    return not other and bool(ANY_FINDING.search(part))


@given(texts)
@settings(max_examples=500, deadline=None)
def test_marks_and_ends_of_sentences_are_those_of_the_plain_rules(text):
    assert clean(text) == plain_clean(text)
    for each in (text, clean(text)):
        assert sentence_ends(each) == [match.end() for match in PLAIN_END.finditer(each)]
    assert cleaning._MGCA_NUMBER.split(text) == re.split(r"[0-9]+\.", text)


@given(texts)
@settings(max_examples=500, deadline=None)
def test_lists_go_on_as_by_the_plain_rules(text):
    for sentence in clauses(text):
        lists = findings._Lists(sentence)
        for comma in re.finditer(",", sentence):
            rest = sentence[comma.end() :]
            assert lists.go_on(comma.end()) == plain_list_goes_on(rest)


@given(texts)
@settings(max_examples=300, deadline=None)
def test_sections_of_any_text_lie_in_it_in_order(text):
    sections = parse(text)
    assert all(s.text in text for s in sections)
    index, chosen = choose(sections)
    assert chosen == ("" if index is None else sections[index].text.strip())
    for_pretraining(text)


UNITS = [*PIECES, "[** ", "**] [**", "a.", ". ", "no a, ", "no edema, edema ", "\n A:\n", "1", "x ",
         "\n SEMI-UPRIGHT", "no aly ", "and a ", "[.", "\n" + " A" * 50, "é"]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("head", ["", "\n ", "no "])
def test_a_megabyte_of_anything_takes_less_than_a_second(unit, head):
    text = (head + unit * (MEGABYTE // len(unit) + 1))[:MEGABYTE] + "a"
    for work in (parse, clean, for_pretraining, lambda t: mgca_caption(t, t)):
        started = time.process_time()
        work(text)
        # Of the processor, on a busy machine more; a quarter of an hour with quadratic rules.
        assert time.process_time() - started < 12.0, work


@pytest.mark.parametrize("unit", ["no a, ", "no edema, edema ", "semi-upright ", "no aly ", ", "])
def test_statements_of_a_long_report_take_time_in_proportion(unit):
    def seconds(count: int) -> float:
        text = "no " + unit * count
        started = time.process_time()
        findings.stated.__wrapped__(text)
        return time.process_time() - started

    short = min(seconds(2000) for _ in range(3))
    assert seconds(16000) < 24 * short + 0.1


def test_a_header_of_forty_words_is_named_at_once():
    started = time.process_time()
    assert normalise("SEMI-UPRIGH " * 40) == "semi-uprigh " * 39 + "semi-uprigh"
    assert normalise("SEMI-UPRIGHT " * 40 + "AP VIEW") == "findings"
    assert time.process_time() - started < 0.5
