"""What is fuzzed: each reader of the package with its valid files and the mutations that fit.

A reader may return or raise `UserError`; one whose documentation names another error says so.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sista import registry, tables
from tests.hostile import mutate
from tests.hostile.mutate import seeds_of
from tests.hostile.reader import Reader
from tests.hostile.readers_files import downloads, films, weights
from tests.hostile.targets import PREDICTIONS

TASKS = ("classification", "segmentation", "detection", "retrieval", "grounding")


def readers(world: Path) -> list[Reader]:
    """Return all readers with their seeds from a world."""
    return [
        *_tables(world),
        *_texts(world),
        *_reports(world),
        *films(world),
        *weights(world),
        *downloads(world),
    ]


def _tables(world: Path) -> Iterator[Reader]:
    from sista.scoring.cached import _load, score_file

    def table(kind: str, paths: list[Path]) -> Reader:
        return Reader(
            f"table {kind}",
            lambda path: tables.read(path, kind),
            seeds_of(paths),
            (mutate.parquet,),
            ".parquet",
            share=2,
        )

    def scored(task: str) -> Callable[[Path], Any]:
        main = registry.find("tasks", task).metrics[0].word
        return lambda path: score_file(
            path, task, main=main, bootstrap=3, cache_folder=path.parent / "none"
        )

    yield table("manifest", [world / "discs/manifest.parquet"])
    yield table("split", [world / "discs/manifest.split.parquet"])
    yield table("regions", [world / "discs/manifest.regions.parquet"])
    yield table("inventory", [world / "listing/inventory.parquet"])
    yield table("scores", [world / "results/score/suite.parquet"])
    for task in TASKS:
        folder = PREDICTIONS.get(task, f"untrained/{task}")
        paths = [world / folder / "predictions.parquet"]
        yield table(f"predictions_{task}", paths)
        yield Reader(
            f"scores of {task}",
            scored(task),
            seeds_of(paths),
            (mutate.parquet,),
            ".parquet",
            share=1,
        )
    cached = sorted(world.rglob("cache/*.npz"))
    yield Reader("cached scores", lambda path: _load(path, "x"), seeds_of(cached), (), ".npz")


def _texts(world: Path) -> Iterator[Reader]:
    from sista import tables
    from sista.adaptation.settings import read_changes
    from sista.grid.grid import Grid
    from sista.preparation.list_names import NameIndex, read_list
    from sista.runs.heartbeat import state_of
    from sista.runs.record import read_record
    from sista.text.vocabulary import load_vocabulary

    grids = [world / "suite.yaml", world / "tasks/three.yaml"]
    grids += sorted((Path(__file__).parents[2] / "benchmarks").glob("*.yaml"))
    yield Reader("grid", Grid.load, seeds_of(grids), (), ".yaml", share=12)
    records = sorted(world.rglob("run.json"))
    yield Reader("record", read_record, seeds_of(records), (mutate.json_text,) * 2, ".json")
    state = json.dumps(
        {
            "stage": "adapt",
            "pid": 1,
            "machine": "x",
            "process_started": 1.0,
            "started": 1.0,
            "job": "",
        }
    ).encode()
    yield Reader(
        "state of a job",
        lambda path: state_of(path.with_name("a.parquet")),
        [state],
        (mutate.json_text,),
        tree=_folder(world, ".a.state.json", state),
        place=".a.state.json",
    )
    lists = sorted((world / "lists").iterdir())
    index = NameIndex(tables.read(world / "discs/manifest.parquet", "manifest")[0])
    yield Reader(
        "list", lambda path: read_list(path, index), seeds_of(lists), (mutate.table_cells,), ".csv"
    )
    vocabulary = world / "discs/manifest.vocabulary.json"
    yield Reader(
        "vocabulary",
        lambda path: load_vocabulary(path, {"vocabulary": path.name}),
        [vocabulary.read_bytes()],
        (mutate.json_text,),
        ".json",
    )
    settings = [b'{"lr": 0.01}', b'{"batch": 8, "epochs": 3}', b'{"exclusive": true}', b"{}"]
    yield Reader(
        "settings",
        lambda path: read_changes(path.read_text(errors="replace"), "linear"),
        settings,
        (mutate.json_text,),
    )


def _folder(world: Path, name: str, content: bytes) -> Path:
    folder = world / "state"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


def _reports(world: Path) -> Iterator[Reader]:
    from sista.text import cleaning, findings, openi, sections

    def report(path: Path) -> None:
        text = path.read_text(errors="replace")
        sections.choose(sections.parse(text))
        cleaning.for_pretraining(text)
        findings.findings_text(text)
        findings.stated_spans(text)

    reports = seeds_of(sorted(world.rglob("s5*.txt")))
    long = (
        b"\n FINDINGS:  The heart is normal. No effusion [**Name**].\n \n IMPRESSION: Edema.\n" * 9
    )
    yield Reader("report", report, [*reports, long], (), ".txt", share=12)
    xml = (
        b'<eCitation><uId id="CXR1"/><AbstractText Label="FINDINGS">Clear.</AbstractText>'
        b'<AbstractText Label="IMPRESSION">No edema.</AbstractText></eCitation>'
    )
    yield Reader("report of Open-i", lambda path: openi.parse(path.read_bytes()), [xml])
