import pytest

from sista.errors import UserError
from sista.runs.json_settings import read_settings


def test_an_object_is_read():
    assert read_settings('{"a": 1, "b": {"a": null}}') == {"a": 1, "b": {"a": None}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "--settings: not valid JSON .*: {"),
        ("[1]", r'must be a JSON object, such as {"width": 8}, not \[1\]'),
        ("null", "must be a JSON object"),
        ('{"a": 1, "a": 2}', "--settings: 'a' stands twice"),
        ('{"b": {"a": 1, "a": 2}}', "--settings: 'a' stands twice"),
    ],
)
def test_what_no_stage_can_follow_is_refused(text, told):
    with pytest.raises(UserError, match=told):
        read_settings(text)
