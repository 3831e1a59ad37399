"""What is foreign or damaged ends in one line with the file, and nothing wrong is believed."""

import gzip
import inspect
import os
import subprocess
import sys
import time
from subprocess import DEVNULL, PIPE
from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista import __main__, tables
from sista.datasets._source import rows
from sista.encoders.checkpoint import read_metadata
from sista.errors import LIMITS, UserError, check_limit
from sista.files import read_json, read_lines, read_text, reading
from sista.grid.grid import Grid
from sista.runs.record import read_record
from tests import raw_trees
from tests.conftest import ROOT

GRID = """
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}
"""


# Errors


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(2, "No such file", "x"), "x: no such file; again"),
        (PermissionError(13, "Permission denied", "x"), "permission denied; give yourself the"),
        (OSError(36, "File name too long", "x"), "file name too long; again"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "file: not UTF-8 text at byte 0"),
        (MemoryError(), "file: does not fit into memory"),
        (RecursionError(), r"damaged, or of another format \(RecursionError\); again"),
        (ValueError("patient 17"), r"damaged, or of another format \(ValueError\)"),
    ],
)
def test_whatever_a_reader_raises_is_one_line_with_the_file(tmp_path, error, told):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(UserError, match=told) as caught, reading(path, "again"):
        raise error
    assert "\n" not in str(caught.value)
    assert "patient 17" not in str(caught.value)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize(
    "read",
    [
        read_json,
        read_text,
        read_record,
        read_metadata,
        lambda path: tables.read(path, "scores"),
        lambda path: list(rows(path, ())),
    ],
)
def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused_at_once(tmp_path, make, read):
    path = tmp_path / "x.csv"
    make(path)
    with pytest.raises(
        UserError, match=r"x\.csv: is no regular file, but a (folder|pipe or device)"
    ):
        read(path)


def test_a_fault_writes_a_log_and_debug_shows_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def fault(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(__main__, "app", fault)
    assert __main__.main(["list"]) == 70
    told = capsys.readouterr().err
    (log,) = tmp_path.glob("sista-fault-*.log")
    assert str(log) in told
    assert "secret" not in told
    assert "ZeroDivisionError: secret" in log.read_text()
    assert __main__.main(["list", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (UserError("x: wrong"), 1, "error: x: wrong"),
        (OSError(36, "File name too long", "x"), 1, "error: x: file name too long"),
        (OSError(28, "No space left on device"), 1, "no space left on the disk"),
        (MemoryError(), 1, "out of memory"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_exit_codes_and_messages(monkeypatch, capsys, error, code, told):
    def failing(*_):
        raise error

    monkeypatch.setattr(__main__, "app", failing)
    assert __main__.main([]) == code
    assert told in capsys.readouterr().err


def test_a_closed_pipe_ends_quietly():
    reader = subprocess.Popen(["head", "-c", "10"], stdin=PIPE, stdout=DEVNULL)
    words = [sys.executable, "-m", "sista", "list"]
    done = subprocess.run(words, cwd=ROOT, stdout=reader.stdin, stderr=PIPE, text=True)
    reader.communicate()
    assert done.stderr == ""


def commands():
    for app in (__main__.app, __main__.audit, __main__.submit):
        for name in app:
            if not name.startswith("-") and name not in ("audit", "submit"):
                yield pytest.param(app[name], id=name)


@pytest.mark.parametrize("command", list(commands()))
def test_every_number_of_the_command_line_has_a_range(command):
    function = inspect.unwrap(command.default_command)
    for name, hint in get_type_hints(function, include_extras=True).items():
        numbers = {int, float, list[int]} & {hint, *get_args(hint)}
        if name == "return" or not numbers:
            continue
        parts = (hint, *get_args(hint))
        checks = [p.validator for part in parts for p in getattr(part, "__metadata__", ())]
        assert checks, f"{function.__module__}: {name} has no range"
        for wrong in (-1e9, float("nan"), float("inf"), 10**400):
            with pytest.raises(ValueError, match="must be a number of at least"):
                checks[0][0](float, wrong)


# Limits


def test_limits_name_themselves_and_can_be_raised(monkeypatch):
    for name, (most, _) in LIMITS.items():
        monkeypatch.delenv(name, raising=False)
        with pytest.raises(UserError, match=f"x: .* more than the {most} allowed.* set {name}"):
            check_limit(name, most + 1, "x")
        monkeypatch.setenv(name, str(most + 1))
        check_limit(name, most + 1, "x")
        for wrong in ("-1", "0", "many", "1" * 5000, "١"):
            monkeypatch.setenv(name, wrong)
            with pytest.raises(UserError, match=f"{name}: must be a whole number"):
                check_limit(name, 1, "x")


def test_a_table_has_a_limit_on_rows(tmp_path, monkeypatch):
    path = raw_trees.table(tmp_path / "t.csv", "a", "1", "2", "3")
    monkeypatch.setenv("SISTA_MAX_ROWS", "2")
    with pytest.raises(UserError, match=r"t\.csv: .* SISTA_MAX_ROWS"):
        list(rows(path, ("a",)))


# Grids


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("variants: [clip, {sista: {theta: 0.8}}]", "stands in a list of words.*variants: {clip"),
        ("variants: []", "variants"),
        ("variants: [clip]\nseeds: []", "seeds"),
        ("variants: [clip]\ndraws: []", "draws"),
        ("variants: [clip]\nseeds: [-1]", "seeds"),
        ("variants: [clip]\nseeds: [0x" + "f" * 9000 + "]", "seeds"),
        ("variants: [clip]\nthreads: 1000000", "threads"),
        ("variants: {sista: {theta: 0x" + "f" * 9000 + "}}", "theta"),
        ("variants: {sista: {theta: .nan}}", "theta"),
        ("variants: {sista: [1]}", "variants"),
        ("variants: &a [clip]\nbaselines: *a", "alias"),
        ("variants: " + "[" * 5000, "nested too deeply"),
        ("variants: " + "1" * 5000, "cannot be read"),
        ("title: 2001-13-45\nvariants: [clip]", "cannot be read"),
        ("title: " + "x" * 70000, "KiB"),
        ('variants: [clip]\nbase: "\\0"', "base"),
        ("variants: [clip]\n? [a]\n: 1", "not valid YAML"),
    ],
)
def test_a_wrong_grid_is_explained_at_once(tmp_path, text, told):
    path = tmp_path / "grid.yaml"
    path.write_text(GRID + text)
    started = time.process_time()
    with pytest.raises(UserError, match=rf"grid\.yaml: (?s:.*){told}"):
        Grid.load(path)
    assert time.process_time() - started < 3


def test_a_grid_of_too_many_runs_names_the_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("SISTA_MAX_RUNS", "5")
    path = tmp_path / "grid.yaml"
    path.write_text(GRID + "variants: [clip, sista]\nseeds: [0, 1, 2]")
    with pytest.raises(UserError, match="SISTA_MAX_RUNS"):
        Grid.load(path)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_any_grid_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(GRID.encode() + content)
    try:
        Grid.load(path)
    except UserError as error:
        assert "any.yaml" in str(error)  # noqa: PT017


# Raw tables


@pytest.mark.parametrize(
    "content",
    ["a,b\n1,x.png\n3,y.png", "a,b,,\n1,2,,\n3,4,,", "a,b\n1,yes\n3,yes", "a,b\n1,0\n2,1\n3,0"],
)
def test_a_table_whose_last_row_is_whole_needs_no_line_end(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_text(content)
    assert len(list(rows(path, ("a", "b")))) == content.count("\n")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("a_1.png\nb_2.png", True),
        ("a_1.png\nb_2.pn", False),
        ("1 a.png COVID\n2 b.png COVID", True),
        ("1 a.png COVID\n2 b.png COV", False),
        ("p1\np12\np1", False),
    ],
)
def test_a_list_whose_last_line_is_whole_needs_no_line_end(tmp_path, text, whole):
    path = tmp_path / "list.txt"
    path.write_text(text)
    if whole:
        assert read_lines(path) == text.split("\n")
        return
    with pytest.raises(UserError, match="stops without a line end"):
        read_lines(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b\n", "has a header and no rows"),
        ("a,b\n1,2\n3\n", "row 3: 1 cells, fewer than the 2 columns"),
        ("a,b\n1,2\n3,4", "row 3: the file stops without a line end"),
        ("a,b\n1,10\n2,105\n3,10", "row 4: the file stops without a line end"),
        ("a,b\n1,x.png\n3,y.pn", "row 3: the file stops without a line end"),
        ('a,b\n"1,2\n3,4\n', "not a readable CSV"),
        ('a,b\n"1,2\n"3,4\n', "not a readable CSV"),
        ('a,b\n"1,2\n3,4\n5",6\n', "row 2: column 'a' holds a line break"),
        ("a,b\n1\x1b[31m,2\n", "row 2: column 'a' holds a line break or control character"),
        ("a,b\n1\0,2\n", "t.csv"),
    ],
)
def test_a_table_that_was_cut_or_lost_a_quote_is_refused(tmp_path, content, told):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=told):
        list(rows(path, ("a", "b")))


def test_cells_of_prose_may_hold_line_breaks(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"two\nlines"\n')
    assert [row.values["b"] for row in rows(path, ("a", "b"), prose=("b",))] == ["two\nlines"]


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_any_table_is_read_or_refused(tmp_path_factory, name, content):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    for each in (content, b"a,b\n" + content, gzip.compress(b"a,b\n" + content)):
        path.write_bytes(each)
        try:
            assert all(set(row.values) >= {"a", "b"} for row in rows(path, ("a", "b")))
        except UserError as error:
            assert name in str(error)  # noqa: PT017
