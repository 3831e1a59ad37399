"""Grid files: a base lends its fields, and what is wrong is said with the file's name."""

import pytest
import yaml

from sista.errors import UserError
from sista.grid.file import read_grid
from sista.grid.grid import Grid
from tests.grid.test_grid import BASE, ROOT


def write(folder, name, **values):
    file = folder / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


def test_fields_of_the_base_stand_where_a_grid_has_none(tmp_path):
    write(tmp_path, "first", **BASE, seeds=[0, 1], title="First")
    write(tmp_path, "inner/second", base="../first.yaml", title="Second", variants=["clip"])
    file = write(tmp_path, "third", base="inner/second.yaml", draws=[4])
    grid = Grid.load(file)
    assert (grid.title, list(grid.variants), grid.draws, grid.seeds) == (
        "Second",
        ["clip"],
        (4,),
        (0, 1),
    )
    _, files = read_grid(file)
    assert [each.name for each in files] == ["third.yaml", "second.yaml", "first.yaml"]
    assert all(each.is_file() for each in files)


def test_a_grid_without_a_base_is_as_it_stands(tmp_path):
    file = write(tmp_path, "alone", **BASE)
    assert read_grid(file) == (BASE, [file])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"base": "absent.yaml"}, ["child.yaml: its base", "absent.yaml: no such grid"]),
        ({"base": "broken.yaml"}, ["broken.yaml: not valid YAML"]),
        ({"base": "list.yaml"}, ["list.yaml: not a grid"]),
        ({"base": "."}, ["no such grid"]),
        ({"base": 3}, ["child.yaml: base must be the path of a grid, not 3"]),
        ({"base": "child.yaml"}, ["round in a circle", "child.yaml → ", "child.yaml"]),
        ({"base": "around.yaml"}, ["circle", "child.yaml → ", "around.yaml → "]),
        ({"base": "good.yaml", "budget": "long"}, ["child.yaml with base", "good.yaml", "'long'"]),
        ({"base": "good.yaml", "sedes": [1]}, ["child.yaml with base", "sedes: unknown", "base"]),
        ({"base": "wrong.yaml"}, ["child.yaml with base", "wrong.yaml", "'encoder_x'"]),
    ],
)
def test_what_is_wrong_with_a_base_is_said(tmp_path, values, words):
    write(tmp_path, "good", **BASE)
    write(tmp_path, "wrong", **{**BASE, "encoders": ["encoder_x"]})
    write(tmp_path, "around", base="child.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "list.yaml").write_text("[a]")
    with pytest.raises(UserError) as error:
        Grid.load(write(tmp_path, "child", **values))
    for word in words:
        assert word in str(error.value)


def test_the_schema_lets_required_fields_come_from_the_base():
    schema = Grid.model_json_schema()
    assert "required" not in schema
    assert {"required": ["base"]} in schema["anyOf"]
    assert schema["properties"]["base"]["type"] == "string"


def test_the_rehearsal_is_the_paper_grid_with_small_encoders():
    rehearsal, paper = (Grid.load(ROOT / f"benchmarks/{n}.yaml") for n in ("rehearsal", "paper"))
    same = ("corpus", "seeds", "draws", "fractions", "adapt", "baselines", "threads")
    assert all(getattr(rehearsal, name) == getattr(paper, name) for name in same)
    assert list(rehearsal.variants) == list(paper.variants)

    def cells(grid):
        own, made = ("protocol", "dataset", "task", "head"), ("variant", "method", "family", "seed")
        return sorted(
            (*(getattr(run, k) for k in own), *(getattr(run.pretrain, k) for k in made))
            for run in grid.adapt_runs()
        )

    assert cells(rehearsal) == cells(paper)
