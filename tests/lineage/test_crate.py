"""The RO-Crate against the requirements of its specification, version 1.1, and by its library."""

import json
import re
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate
from rocrate.utils import as_list

from sista.errors import UserError
from sista.files import sha256
from sista.lineage.crate import METADATA, crate


@pytest.fixture
def graph(tree, tmp_path):
    crate(grid=tree.root / "suite.yaml", out=tmp_path / "out", results=tree.results)
    value = json.loads((tmp_path / "out" / METADATA).read_text())
    assert value["@context"] == "https://w3id.org/ro/crate/1.1/context"
    return value["@graph"]


def by_id(graph):
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph), "an @id stands twice"
    return found


def references(value):
    if isinstance(value, dict):
        return [value["@id"]]
    return [name for each in value for name in references(each)] if isinstance(value, list) else []


def test_descriptor_and_root_have_what_the_specification_demands(graph):
    entities = by_id(graph)
    descriptor, root = entities[METADATA], entities["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert descriptor["about"] == {"@id": "./"}
    assert root["@type"] == "Dataset"
    for name in ("name", "description", "license", "datePublished"):
        assert root[name]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", root["datePublished"])
    assert root["license"]["@id"] in entities


def test_the_graph_is_flat_and_closed(graph):
    entities = by_id(graph)
    for entity in graph:
        assert entity["@type"]
        for name, value in entity.items():
            if isinstance(value, dict):
                assert set(value) == {"@id"}, f"{entity['@id']} {name} is nested"
            assert not isinstance(value, list) or len(value) != 1, f"{entity['@id']} {name}"
            for wanted in references(value):
                assert wanted in entities or wanted == "https://w3id.org/ro/crate/1.1", wanted


def test_files_are_there_listed_and_as_described(graph, tmp_path):
    folder = tmp_path / "out"
    parts = {part["@id"] for part in by_id(graph)["./"]["hasPart"]}
    files = {entity["@id"]: entity for entity in graph if entity["@type"] == "File"}
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(files) == parts == there - {METADATA}
    for name, entity in files.items():
        assert int(entity["contentSize"]) == (folder / name).stat().st_size
        if "identifier" in entity:
            assert entity["identifier"] == f"sha256:{sha256(folder / name)}"
    assert {"score/suite.parquet", "report/index.html", "grid/suite.yaml"} <= parts


def test_every_run_is_an_action_and_encoders_stay_out(graph):
    actions = [entity for entity in graph if entity["@type"] == "CreateAction"]
    # 2 fetch, 2 prepare, 4 pretrain, 4 adapt, score, report.
    assert len(actions) == 14
    assert all(a["instrument"] == {"@id": "#code"} and a["result"] for a in actions)
    encoders = [e for e in graph if e["@id"].endswith(".safetensors")]
    assert len(encoders) == 4
    assert all(e["@type"] == "CreativeWork" and e["@id"].startswith("#") for e in encoders)
    raw = [e for e in graph if e["@id"].startswith("#raw/")]
    assert len(raw) == 2
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", e["identifier"]) for e in raw)


@pytest.mark.parametrize("folder", ["results", "größe 100% #1"])
def test_the_library_reads_it_and_writes_it_again(folder, tree, tmp_path):
    results = tree.results.rename(folder)
    out, again = tmp_path / "out", tmp_path / "again"
    crate(grid=tree.root / "suite.yaml", out=out, results=results)
    graph = by_id(json.loads((out / METADATA).read_text())["@graph"])
    # The characters of an address; `#` only as the first one.
    assert all(re.fullmatch(r"#?([\w.~/@+=,:-]|%[0-9A-F]{2})+", key, re.ASCII) for key in graph)
    read = ROCrate(out)
    assert str(read.version) == "1.1"
    assert read.name == "SISTA-Bench: Made-up suite"
    assert read.root_dataset["license"]["name"] == "Apache License 2.0"
    # A file of the crate is found by its address, and all else is an entity of the context.
    files = {each.id: each for each in read.data_entities}
    assert set(files) == {key for key, each in graph.items() if each["@type"] == "File"}
    assert all(Path(each.source).is_file() for each in files.values())
    others = {each.id for each in read.contextual_entities}
    assert others == set(graph) - set(files) - {METADATA, "./"}
    for action in read.get_by_type("CreateAction"):
        # A reference that leads nowhere stays text.
        assert not any(isinstance(made, str) for made in as_list(action["result"]))
    read.write(again)
    assert by_id(json.loads((again / METADATA).read_text())["@graph"]) == graph
    for path in out.rglob("*"):
        if path.is_file() and path.name != METADATA:
            assert (again / path.relative_to(out)).read_bytes() == path.read_bytes()


def test_what_is_not_finished_or_shows_films_is_refused(tree, tmp_path):
    grid, results = tree.root / "suite.yaml", tree.results
    record = tree.page / "run.json"
    before = record.read_text()
    record.write_text(before.replace('"sheets": "phantom"', '"sheets": "all"'))
    with pytest.raises(UserError, match="shows real films"):
        crate(grid=grid, out=tmp_path / "out", results=results)
    record.write_text(before)
    (tree.page / "index.html").unlink()
    with pytest.raises(UserError, match="not finished"):
        crate(grid=grid, out=tmp_path / "out", results=results)
    assert not (tmp_path / "out").exists()


def test_records_that_cannot_be_told_are_refused(tree, tmp_path):
    for record, key, value in (
        ("report/suite/run.json", "wall_s", 1e300),
        ("fetch/chexpert@phantom/run.json", "facts", {}),
        ("fetch/chexpert@phantom/run.json", "run", {"dataset": ["x"]}),
    ):
        path = tree.results / record
        sound = path.read_text()
        path.write_text(json.dumps({**json.loads(sound), key: value}))
        with pytest.raises(UserError, match=r"run\.json"):
            crate(grid=tree.root / "suite.yaml", out=tmp_path / "made", results=tree.results)
        path.write_text(sound)


def test_what_a_killed_crate_left_is_removed(tree, tmp_path):
    (tmp_path / ".out.0123abcd.tmp/grid").mkdir(parents=True)
    crate(grid=tree.root / "suite.yaml", out=tmp_path / "out", results=tree.results)
    assert list(tmp_path.glob(".out.*")) == []
    assert (tmp_path / "out" / METADATA).is_file()
