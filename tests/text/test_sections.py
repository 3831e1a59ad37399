import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.text.sections import choose, last_of, normalise, parse

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/report_sections.json").read_text())


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
        ("REASON FOR THIS EXAMINATION", "indication"),
        ("FINAL ADDENDUM", "addendum"),
        ("PRIOR COMPARISON", "comparison"),
        ("ABDOMEN", "abdomen"),
    ],
)
def test_headers_are_normalised(header, name):
    assert normalise(header) == name
