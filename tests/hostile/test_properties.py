"""Properties of the parsers: whatever they are given is read or refused by a `UserError`."""

import io
import json
import time
from contextlib import redirect_stderr, redirect_stdout

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sista.__main__ import main
from sista.adaptation.settings import Changes, read_changes
from sista.errors import UserError
from sista.grid.grid import Grid
from sista.preparation import masks
from sista.preparation.list_names import NameIndex, read_list
from sista.runs.record import Record, read_record
from sista.tasks._arrays import pack, unpack
from sista.text import cleaning, findings, sections
from tests.hostile.kinds_grid import VALID

some = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def read_or_refused(read, *arguments, also=()):
    try:
        return read(*arguments)
    except (UserError, *also) as error:
        if not str(error):
            raise AssertionError("an error without a word") from error
        return None


@given(st.dictionaries(st.sampled_from([*Grid.model_fields, "base", "x"]), values, max_size=4))
@some
def test_a_grid_of_any_values_is_read_or_refused(tmp_path, changed):
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({**VALID, **changed}))
    assert isinstance(read_or_refused(Grid.load, path), Grid | None)


@given(st.text(max_size=60) | st.text(alphabet="[]{}:,-&*!?|>'\"\n ab", max_size=60))
@some
def test_any_text_is_a_grid_or_refused(tmp_path, text):
    path = tmp_path / "grid.yaml"
    path.write_text(text, errors="replace")
    assert isinstance(read_or_refused(Grid.load, path), Grid | None)


@given(values | st.dictionaries(st.sampled_from(list(Record.model_fields)), values, max_size=5))
@some
def test_any_json_is_a_record_or_refused(tmp_path, value):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(value))
    assert isinstance(read_or_refused(read_record, path), Record | None)


@given(st.binary(max_size=80))
@some
def test_any_bytes_are_a_record_a_grid_and_a_list_or_refused(tmp_path, data):
    path = tmp_path / "any"
    path.write_bytes(data)
    index = NameIndex(pd.DataFrame({"image_id": ["a", "b"], "path": ["x/a.png", "x/b.png"]}))
    readers = {read_record: Record, Grid.load: Grid, (lambda file: read_list(file, index)): list}
    for read, kind in readers.items():
        assert isinstance(read_or_refused(read, path), kind | None)


@given(st.text(max_size=40) | values.map(json.dumps))
@some
def test_any_text_is_settings_or_refused(text):
    assert isinstance(read_or_refused(read_changes, text, "linear"), Changes | None)


sides = st.integers(-2, 40) | st.integers() | values


@given(
    st.builds(
        lambda size, counts: {"size": size, "counts": counts},
        st.lists(sides, max_size=3),
        values
        | st.text(
            alphabet="0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno", max_size=20
        ),
    )
    | values
)
@some
def test_any_json_is_a_mask_of_its_size_or_refused(value):
    mask = read_or_refused(masks.from_json, json.dumps(value), also=(ValueError,))
    if mask is not None:
        assert list(mask.shape) == value["size"]
        assert set(mask.ravel().tolist()) <= {0, 1}


@given(
    st.text(max_size=40) | st.lists(st.integers(), max_size=8).map(lambda v: " ".join(map(str, v)))
)
@some
def test_any_text_is_run_lengths_or_refused(text):
    mask = read_or_refused(masks.decode_relative_rle, text, 9, 7, also=(ValueError,))
    assert mask is None or mask.shape == (9, 7)


@given(
    st.text(max_size=40)
    | st.from_regex(r"[0-9]{1,3}(x[0-9]{1,3}){0,5}:[A-Za-z0-9+/=]{0,20}", fullmatch=True)
)
@some
def test_any_text_is_a_packed_array_or_refused(text):
    array = read_or_refused(unpack, text)
    if array is not None:
        assert unpack(pack(array)).shape == array.shape


BOMBS = (
    "[**",
    "**]",
    ".",
    "\n ",
    "\n FINDINGS: ",
    "no ",
    "___ ",
    ":",
    "( ",
    "1. ",
    "-",
    "a",
    "\n \n",
    "CHEST, ",
    "AP AND ",
    "no evidence of ",
    "left ",
    "Dr. ",
    "\t",
    "。",
    "[** **] ",
)


@given(st.lists(st.sampled_from(BOMBS), min_size=1, max_size=3), st.text(max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_long_report_is_parsed_in_linear_time(pieces, tail):
    text = "".join(pieces) * (200_000 // len("".join(pieces))) + tail
    spent = []
    # The first time also compiles patterns; what is not linear is slow each time.
    while len(spent) < 3 and min(spent, default=1.0) >= 1.0:
        begun = time.process_time()
        sections.choose(sections.parse(text))
        cleaning.for_pretraining(text)
        findings.findings_text(text)
        spent.append(time.process_time() - begun)
    # 1 MB of anything in a second; measured on a fifth, with room for a slow machine.
    assert min(spent) < 1.0


words = st.sampled_from(
    [
        "list",
        "schema",
        "--of",
        "--kind",
        "status",
        "--grid",
        "verify",
        "--results",
        "-h",
        "--",
        "x",
        "methods",
        "grid",
        "audit",
        "split",
        "--raw",
        "show",
        "--no-raw",
        "--help",
        "=",
        "--of=",
        "",
    ]
) | st.text(max_size=6)


@given(st.lists(words, max_size=4))
@settings(max_examples=80, deadline=None)
def test_any_command_line_ends_in_a_code(tmp_path_factory, arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            try:
                code = main(arguments)
            except SystemExit as error:
                code = error.code
    assert isinstance(code, int)
    assert "Traceback" not in said.getvalue()
