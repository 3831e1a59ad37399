import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.text import cleaning
from sista.text.sections import last_of, parse

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/report_sections.json").read_text())


@pytest.mark.parametrize("report", GOLDEN["reports"], ids=lambda report: report["what"])
def test_mgca_caption_is_that_of_the_reference(report):
    sections = parse(report["text"])
    found = cleaning.mgca_caption(last_of(sections, "impression"), last_of(sections, "findings"))
    expected = report["mgca"]
    assert (found.status, found.sentences) == (expected["status"], expected["sentences"])
    if "caption" in expected:
        assert found.caption == expected["caption"]
        assert found.joined == expected["joined"]
        assert found.n_tokens == expected["n_tokens"]
        assert found.dropped_pieces == expected["dropped_pieces"]


def test_clean_text_has_no_marks_and_keeps_decimals():
    text = "1. No change since ___.\n 2. A 3.4 cm nodule, XXXX. Clear."
    assert cleaning.sentences(text) == ["no change since", "a 3.4 cm nodule", "clear"]
    assert "___" not in cleaning.clean(text)
    assert "xxxx" not in cleaning.clean(text)


def test_report_is_impression_then_findings():
    report = " FINAL REPORT\n FINDINGS: \n \n Clear lungs.\n \n IMPRESSION:  No pneumonia\n"
    assert cleaning.for_pretraining("x" + report) == "no pneumonia. clear lungs."


@pytest.mark.parametrize("text", ["", "   \n", "\n IMPRESSION: \n \n ___ ok.\n"])
def test_reports_under_three_tokens_are_none(text):
    assert cleaning.for_pretraining(text) is None


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_sentences_are_plain_tokens_and_clean_text_is_one_line(text):
    for sentence in cleaning.sentences(text):
        assert set(sentence) <= set("abcdefghijklmnopqrstuvwxyz0123456789. ")
    cleaned = cleaning.clean(text)
    assert cleaned == " ".join(cleaned.lower().split())


def test_deidentification_marks_leave_no_word():
    text = "seen by [**Known Lastname**] on ___ with XXXX, xxxxx. axxxb stays"
    assert cleaning.tokens(text) == "seen by on with axxxb stays".split()


def test_clauses_keep_commas_and_colons_as_marks():
    assert cleaning.clauses("Chest: a 3.4 cm nodule, stable; clear.") == [
        "chest , a 3.4 cm nodule , stable",
        "clear",
    ]
