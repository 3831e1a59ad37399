"""Atomic writes leave all or nothing; hashes name contents."""

import os
from pathlib import Path

import pytest

from sista.errors import UserError
from sista.files import atomic, digest, read_json, read_lines, sha256, write_json


def fail_half_way(path):
    with atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_replaces_the_old_folder_as_a_whole(tmp_path):
    path = tmp_path / "folder"
    for name in ("first", "second"):
        with atomic(path) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert [p.name for p in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_never_takes_the_place_of_a_device(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    for path in (tmp_path / "a.txt", Path("/dev/null")):
        with pytest.raises(UserError, match="is a pipe or device"), atomic(path) as temporary:
            temporary.write_text("x")
    assert (tmp_path / "a.txt").is_fifo()
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("content", ["a\nb", "a\n\x1bb\n", "a\n" + "b" * 20_000 + "\n"])
def test_a_list_without_an_end_or_with_what_no_list_holds_is_refused_by_its_row(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=r"list\.txt row 2: .*get it again"):
        read_lines(path)
    path.write_text("a\tx\n\nb\r\n")
    assert read_lines(path) == ["a\tx", "", "b"]


def test_json_comes_back_and_broken_json_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, None], "a": "ä"})
    assert read_json(tmp_path / "a.json") == {"a": "ä", "b": [1, None]}
    (tmp_path / "a.json").write_text('{"a":\n oops}')
    with pytest.raises(UserError, match=r"a\.json:2: not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match=r"b\.json: no such file"):
        read_json(tmp_path / "b.json")


def test_a_digest_does_not_depend_on_the_order_of_keys(tmp_path):
    assert digest({"a": 1, "b": 2.0}) == digest({"b": 2.0, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest(None)) == 12
    (tmp_path / "empty").touch()
    assert sha256(tmp_path / "empty").startswith("e3b0c44298fc1c14")
