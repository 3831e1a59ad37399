"""No record, table or link leads out of the folder that it belongs to; pipes do not stop a verb."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from sista import tables
from sista.errors import UserError
from sista.files import read_json, sha256, within
from sista.lineage.crate import crate
from sista.lineage.trace import trace
from sista.lineage.verify import check, record_paths
from sista.runs.ancestry import follow
from sista.runs.record import fact, read_record

ADDRESS = {"row": "clip/resnet_tiny", "column": "chexpert@phantom/1"}


def changed(record: Path, change) -> None:
    value = json.loads(record.read_text())
    change(value)
    record.write_text(json.dumps(value))


def crated(tree):
    crate(grid=tree.root / "suite.yaml", out=tree.root / "out", results=tree.results)


@pytest.fixture
def secret(tree):
    file = tree.root / "secret.txt"
    file.write_text("private")
    return file


def assert_kept(tree):
    out = tree.root / "out"
    found = [p for p in out.rglob("*") if p.is_file() and b"private" in p.read_bytes()]
    assert found == []


def test_an_output_outside_of_the_records_folder_is_no_output(tree, secret):
    record = tree.page / "run.json"
    for name in ("../../../secret.txt", str(secret.absolute())):
        before = record.read_text()
        changed(record, lambda value, name=name: value["outputs"].update(
            {name: fact(secret).model_dump()}
        ))  # fmt: skip
        with pytest.raises(UserError, match="outside of the record's folder"):
            crated(tree)
        with pytest.raises(UserError, match="outside of the record's folder"):
            read_record(record)
        assert {each.kind for each in check(tree.results, [record])} == {"altered"}
        record.write_text(before)
    assert not (tree.root / "out").exists()


def test_a_link_among_the_outputs_is_not_followed_out(tree, secret):
    (tree.page / "classification.csv").unlink()
    (tree.page / "classification.csv").symlink_to(secret.absolute())
    with pytest.raises(UserError, match="leads out of"):
        crated(tree)
    assert not (tree.root / "out").exists()


def test_inputs_of_others_are_described_and_not_copied(tree, secret):
    folder = tree.root / "else" / "score"
    folder.mkdir(parents=True)
    (folder / "secret.parquet").write_text("private")
    (folder / "secret.run.json").write_text(
        (tree.results / "score" / "suite.run.json").read_text().replace(
            '"suite.parquet"', '"secret.parquet"'
        ).replace('"grid": "suite"', '"grid": "private"')
    )  # fmt: skip
    inputs = {
        f"../../../else/score/{n}": fact(folder / n).model_dump() for n in ("secret.parquet",)
    }
    changed(tree.page / "run.json", lambda value: value["inputs"].update(inputs))
    crated(tree)
    assert (tree.root / "out").is_dir()
    assert_kept(tree)


def test_records_in_a_circle_are_told(tree):
    record = tree.results / "score" / "suite.run.json"
    own = fact(tree.results / "score" / "suite.parquet").model_dump()
    changed(record, lambda value: value["inputs"].update({"suite.parquet": own}))
    with pytest.raises(UserError, match="circle"):
        follow(tree.results / "score" / "suite.parquet")


@pytest.mark.parametrize("name", ["results/../secret.txt", "elsewhere/x", "/etc/passwd"])
def test_a_table_that_names_a_file_elsewhere_is_refused(tree, name):
    scores = tree.results / "score" / "suite.parquet"
    frame, meta = tables.read(scores, "scores")
    main = meta["main_metrics"][frame["predictions"][0]]
    frame["predictions"], meta["main_metrics"] = name, {name: main}
    with pytest.MonkeyPatch.context() as patch:
        # As a version before the check wrote it.
        patch.setattr(tables, "validate", lambda table, *_: table)
        tables.write(frame, scores, "scores", meta)
        with pytest.raises(UserError, match=r"leads out|names no file"):
            trace(scores, **ADDRESS)
    with pytest.raises(UserError):
        trace(scores, **ADDRESS)


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "a/../../secret.txt"])
def test_an_inventory_stays_below_its_folder(tree, path):
    listing = tree.find("fetch/*/inventory.parquet")
    frame, meta = tables.read(listing, "inventory")
    with pytest.raises(UserError, match="leads out of its folder"):
        tables.write(frame.assign(path=[path, *frame["path"][1:]]), listing, "inventory", meta)


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_pipes_and_folders_in_place_of_results_stop_nothing(tree, kind):
    def planted(path):
        path.unlink()
        os.mkfifo(path) if kind == "pipe" else path.mkdir()

    planted(tree.results / "score" / "suite.parquet")
    readers = (tables.read, tables.read_meta)
    for read in (*(partial(each, kind="scores") for each in readers), sha256, read_json):
        with pytest.raises(UserError, match="no regular file"):
            read(tree.results / "score" / "suite.parquet")
    planted(tree.find("adapt/**/predictions.parquet"))
    planted(tree.find("pretrain/**/run.json"))
    kinds = {each.kind for each in check(tree.results, list(record_paths(tree.results)))}
    assert kinds >= {"missing"}
    with pytest.raises(UserError, match="not finished"):
        crated(tree)


def test_within(tmp_path):
    assert within(tmp_path, "a/b.txt") == tmp_path / "a" / "b.txt"
    (tmp_path / "link").symlink_to("/etc")
    for name in ("", "../a", "/a", "a/../../b", "link/passwd", "a\0b"):
        with pytest.raises(UserError, match="out of"):
            within(tmp_path, name)
