"""JSON of downloads: read a piece at a time, each value with its place."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.datasets import _json
from sista.errors import UserError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=6) | st.dictionaries(st.text(max_size=6), VALUES, max_size=6))
@settings(max_examples=50, deadline=None)
@pytest.mark.parametrize("indent", [None, 2])
def test_pieces_give_what_the_whole_file_gives(tmp_path_factory, indent, content):
    file = tmp_path_factory.getbasetemp() / f"pieces{indent}.json"
    file.write_text(json.dumps(content, indent=indent))
    kept = _json.CHUNK
    try:
        # Shorter than any number or name: each is cut.
        _json.CHUNK = 1
        found = list(_json.entries(file))
    finally:
        _json.CHUNK = kept
    whole = json.loads(file.read_text())
    values = list(whole.values()) if isinstance(whole, dict) else whole
    assert [node.value for node in found] == values
    if isinstance(whole, dict):
        assert [node.place for node in found] == [f".{name}" for name in whole]


@pytest.mark.parametrize(
    "text", ["", "[1, 2", '{"a": 1', "[1 2]", '{"a" 1}', "3", '["a', '{"a": }', "[1,]", "nul"]
)
def test_what_is_no_json_names_the_file(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(UserError, match=r"a\.json: .*complete the download"):
        list(_json.entries(file))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda node: node.need("b"), r"a\.json \[0\]: 'b' is missing"),
        (lambda node: node.need("a").number(), r"\[0\]\.a: is no finite number"),
        (lambda node: node.need("n").numbers(3), r"\[0\]\.n: has 2 numbers, needs 3"),
        (lambda node: node.need("n").text(), r"\[0\]\.n: is no text"),
        (lambda node: node.need("a").each(), r"\[0\]\.a: is no list"),
        (lambda node: node.need("a").get("x"), r"\[0\]\.a: is no object"),
        (lambda node: node.need("n").key(), r"\[0\]\.n: is no whole number"),
        (lambda node: node.need("inf").number(), r"\[0\]\.inf: is no finite number"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(tmp_path, ask, message):
    file = tmp_path / "a.json"
    file.write_text('[{"a": "x", "n": [1, 2.5], "none": null, "inf": Infinity}]')
    (node,) = _json.entries(file)
    assert node.get("none") is None
    assert node.need("n").numbers(2) == [1, 2.5]
    with pytest.raises(UserError, match=message):
        ask(node)
