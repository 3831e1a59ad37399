import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.text.cleaning import for_pretraining
from sista.text.mimic_rules import SECTION_OF_STUDY, TEXT_OF_STUDY
from sista.text.sections import choose, last_of, normalise, parse, reading

FOLDER = Path(__file__).parents[1] / "golden"
GOLDEN = json.loads((FOLDER / "report_sections.json").read_text())
MIMIC = json.loads((FOLDER / "mimic_sections.json").read_text())


@pytest.mark.parametrize("report", GOLDEN["reports"], ids=lambda report: report["what"])
def test_sections_are_those_of_the_reference_parser(report):
    sections = parse(report["text"])
    expected = [(s["name"], s["start"], s["text"]) for s in report["sections"]]
    assert [(s.name, s.start, s.text) for s in sections] == expected
    index, text = choose(sections)
    assert (index, text) == (report["chosen_index"], report["chosen_text"])
    row = {name: last_of(sections, name) for name in report["csv_row"]}
    assert row == report["csv_row"]


def test_starts_point_at_the_text():
    for report in GOLDEN["reports"]:
        for found, expected in zip(parse(report["text"]), report["sections"], strict=True):
            exact = report["text"].startswith(found.text, found.start)
            assert exact == expected["start_is_exact"] or not found.text


@given(st.text(alphabet="\n AB:()/,-a.5_", max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_is_parsed(text):
    sections = parse(text)
    assert all(section.start <= len(text) for section in sections)
    choose(sections)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("CHEST (PORTABLE AP)", "findings"),
        ("PA AND LATERAL CHEST RADIOGRAPHS", "findings"),
        ("REASON FOR THIS EXAMINATION", "reason for this examination"),
        ("FINAL ADDENDUM", "addendum"),
        ("PRIOR COMPARISON", "comparison"),
        ("ABDOMEN", "abdomen"),
    ],
)
def test_headers_are_normalised(header, name):
    assert normalise(header) == name


@pytest.mark.parametrize(("title", "name"), sorted(MIMIC["titles"].items()))
def test_titles_are_those_of_the_public_parser(title, name):
    assert normalise(title) == name


@pytest.mark.parametrize("report", MIMIC["reports"], ids=lambda report: report["what"])
def test_reading_is_that_of_the_public_section_files(report):
    sections = parse(report["text"])
    assert [s.name for s in sections] == report["names"]
    assert [s.text for s in sections] == report["sections"]
    assert reading(report["text"], report["study"]) == report["reading"]


def test_every_study_with_an_own_rule_is_in_the_tables():
    counts = {"sections": len(SECTION_OF_STUDY), "offsets": len(TEXT_OF_STUDY)}
    assert counts == MIMIC["studies"] == {"sections": 23, "offsets": 31}
    assert set(SECTION_OF_STUDY).isdisjoint(TEXT_OF_STUDY)
    assert all(first <= end for first, end in TEXT_OF_STUDY.values())


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("misspelt", "both lungs are well expanded."),
        ("only pfi", None),
        ("only a view", "tube tip lies 4 cm above the carina."),
        ("view before indication", "heart is large. no effusion."),
        ("only comparison", "since the last film the effusion has grown."),
        ("by hand indication", "lungs are clear and the heart is normal."),
        ("by offsets, none", None),
    ],
)
def test_pretraining_text_without_impression_and_findings(what, text):
    report = next(report for report in MIMIC["reports"] if report["what"] == what)
    assert for_pretraining(report["text"], report["study"]) == text
