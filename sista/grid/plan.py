"""What the workflow asks of a job: the code that it runs and the label subsets it covers. No torch.

The stages find methods, heads, protocols and data sets by word while they run, so their static
imports do not show them: a job depends on its stage and on its own words, and on no others.
"""

import json
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from sista import registry
from sista.files import digest, sha256
from sista.grid.grid import Grid
from sista.metadata import data_word
from sista.phantom.presets import PRESETS

PREPARED = (
    "manifest.parquet",
    "manifest.split.parquet",
    "manifest.images.npy",
    "manifest.vocabulary.json",
    "manifest.regions.parquet",
)
CELLS = ("draws", "fractions")
STAGES = ("fetch", "prepare", "pretrain", "adapt", "score", "report")


# Once for each set of words: thousands of jobs share few of them.
@cache
def code(stage: str, **words: str) -> tuple[str, ...]:
    """Return the files of the package that a job runs, sorted, relative to the project.

    Args:
        stage: the stage, e.g. `adapt`.
        words: kind and word of the components that the stage finds, e.g. `heads="linear"`. A data
            set reference such as `rsna_pneumonia@phantom` adds the phantom.
    """
    files = set(registry.module_sources(f"sista.stages.{stage}"))
    for kind, word in words.items():
        name, origin = data_word(word), word.partition("@")[2]
        files |= set(registry.sources(kind, name))
        if kind == "heads":
            files |= set(_adaptation(name))
        if stage == "fetch" and origin:
            files |= set(registry.module_sources(f"sista.phantom.layouts.{name}"))
        elif stage == "fetch":
            files = {file for file in files if not file.startswith("sista/phantom/")}
    return tuple(sorted(files))


def _adaptation(head: str) -> list[str]:
    """Return the files that a head's job finds by word: its way of adapting and its task."""
    task, way = (str(registry.constant("heads", head, key)) for key in ("TASK", "ADAPTS"))
    return [
        *registry.module_sources(f"sista.adaptation.{task}"),
        *registry.module_sources(f"sista.adaptation.{way}"),
        *registry.sources("tasks", task),
    ]


def weights(settings: Mapping[str, Any], encoder: str) -> list[str]:
    """Return the files of imported weights that a pre-training job reads.

    A file that is not there is no input: grids plan on machines without it, and its job says how to
    make it.

    Args:
        settings: of the method; `weights` is a path, in which `{encoder}` is the encoder's word.
        encoder: word of the encoder.
    """
    path = weights_path(settings, encoder)
    return [str(path)] if path and path.is_file() else []


def weights_path(settings: Mapping[str, Any], encoder: str) -> Path | None:
    """Return where a method's imported weights are looked for; None where it reads none."""
    text = str(settings.get("weights") or "")
    return Path(text.replace("{encoder}", encoder)) if text else None


def version(dataset: str) -> list[str]:
    """Return DVC's file about a raw data set, which names its version; nothing where DVC has none.

    Args:
        dataset: reference of the data set; its raw data are `data/WORD`.
    """
    file = Path("data") / f"{data_word(dataset)}.dvc"
    return [file.as_posix()] if "@" not in dataset and file.is_file() else []


@cache
def code_hash(stage: str, **words: str) -> str:
    """Return 12 hex digits of the text of these files: another text, another job.

    A touched file changes nothing. See `code` for the arguments.
    """
    return digest([[file, _hash(file)] for file in code(stage, **words)])


# Of the text, not the time of change: a checkout touches files without changing them.
@cache
def _hash(file: str) -> str:
    return sha256(registry.PACKAGE.parent / file)


def subsets(folder: str, grid: Grid, head: str) -> dict[str, list[int]]:
    """Return the draws and fractions of an adapt job: those asked for and those it already has.

    Grids that share a run may ask for different subsets of the labels. A run that has more than a
    grid needs stays as it is; one that has less is made again with both.

    Args:
        folder: of the job; `run.json` in it says what it covers, once it was run. A damaged one
            says nothing: `sista verify` names it.
        grid: what is wanted.
        head: word of the head.
    """
    record = Path(folder) / "run.json"
    try:
        # A pipe of that name would stop the plan.
        made = json.loads(record.read_text())["run"] if record.is_file() else {}
        there = {name: [n for n in made.get(name, ()) if type(n) is int] for name in CELLS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        there = {name: [] for name in CELLS}
    wanted = zip(CELLS, grid.cells(head), strict=True)
    return {name: sorted({*asked, *there[name]}) for name, asked in wanted}


def workers(dataset: str) -> int:
    """Return how many processes fetch and prepare a data set: one for every 100 studies, at most 8.

    Small phantoms are made side by side, one process each: workers would take longer to start.

    Args:
        dataset: reference of the data set; a real one is taken to be large.
    """
    name, origin = data_word(dataset), dataset.partition("@")[2]
    if origin not in PRESETS:
        return 8
    return min(8, max(1, PRESETS[origin].studies.get(name, 0) // 100))


def options(**values: Any) -> list[str]:
    """Return options as words of a command line; a list is several words.

    A rule's command quotes each (`:q`): settings are JSON, whose quotes and blanks the shell would
    take for its own.
    """
    words = []
    for name, value in values.items():
        many = value if isinstance(value, list | tuple) else [value]
        words += [f"--{name}", *(str(each) for each in many)]
    return words


def deleted(targets: Mapping[str, list[str]]) -> list[str]:
    """Return the results that are missing though results of the next stage are there.

    Snakemake makes no file again that only finished jobs have read, so what was deleted because it
    was damaged would stay away. Where the next stage has no result yet, it asks for them itself.

    Args:
        targets: of a grid, by stage.
    """
    missing = []
    for stage, later in pairwise(STAGES[:-1]):
        if any(Path(path).is_file() for path in targets[later]):
            missing += [path for path in _outputs(stage, targets) if not Path(path).is_file()]
    return missing


def _outputs(stage: str, targets: Mapping[str, list[str]]) -> list[str]:
    """Return all files that the jobs of a stage make; `targets` has one of each job."""
    if stage != "prepare":
        return targets[stage]
    return [str(Path(path).with_name(name)) for path in targets[stage] for name in PREPARED]


def targets(grid: Grid, name: str) -> dict[str, list[str]]:
    """Return the files that each stage makes for a grid, in the order of flow.

    Args:
        grid: the grid.
        name: the grid file's name without suffix.
    """
    return {
        "fetch": [f"results/fetch/{word}/inventory.parquet" for word in grid.datasets()],
        "prepare": [f"results/prepare/{word}/manifest.parquet" for word in grid.datasets()],
        "pretrain": [run.checkpoint for run in grid.pretrain_runs()],
        "adapt": [run.predictions for run in grid.adapt_runs()],
        "score": [f"results/score/{name}.parquet"],
        "report": [f"results/report/{name}/index.html"],
    }
