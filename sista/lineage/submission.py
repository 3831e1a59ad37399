"""Verb `submit check`: results of a third party, scored again from their predictions.

A submission is a folder with submission.yaml and the predictions as the workflow lays them out,
results/adapt/PROTOCOL/DATASET/HEAD/BUDGET/VARIANT/ENCODER/CORPUS/seedN/predictions.parquet; it may
hold scores.parquet, what its authors claim. Nothing in it is trusted, and nothing of it is run.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sista import registry, tables
from sista.errors import UserError, check_word, say
from sista.files import atomic, digest, sha256, walk
from sista.grid.file import read_grid
from sista.grid.runs import AdaptRun, PretrainRun
from sista.lineage.compare import differing
from sista.lineage.rules_kept import broken
from sista.lineage.truth import Truth
from sista.metadata import data_word
from sista.report import formats
from sista.report.main_tables import main_tables
from sista.runs import provenance
from sista.scoring.cached import FileScores
from sista.stages.score import rows, score_runs

FACTS, CLAIMED, PREDICTIONS = "submission.yaml", "scores.parquet", "predictions.parquet"
PLACE = ("protocol", "dataset", "head", "budget", "variant", "encoder", "corpus", "seed")
# Data and text. Weights and code are published elsewhere: here they would be asked for by nobody.
SUFFIXES = frozenset((".parquet", ".json", ".yaml", ".csv", ".md", ".txt"))
Licence = Literal["CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "ODC-By-1.0", "PDDL-1.0"]
Scored = list[tuple[AdaptRun, FileScores]]


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


Text = Annotated[str, AfterValidator(_filled)]


class Submission(BaseModel):
    """What submission.yaml says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: Text
    authors: list[Text] = Field(min_length=1)
    licence: Licence = Field(description="of the predictions: anybody may score them again")
    url: str = Field("", description="paper or code")
    bootstrap: int = Field(1000, ge=100, le=10_000)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file, and what to do."""

    file: str
    text: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.file}: {self.text}"


def check(folder: Path, *, results: Path = Path("results"), out: Path | None = None) -> None:
    """Check a submission, score it again, and show its tables; exit with 1 at any fault.

    What needs the data set (its split, its true labels, films that pre-training has seen) is
    checked where it is prepared here, and told where it is not.

    Args:
        folder: of the submission.
        results: where data sets are prepared and other predictions lie.
        out: folder for a preview of the tables.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    said, faults = _facts(folder)
    faults += _files(folder)
    runs: list[AdaptRun] = []
    truth = Truth(results)
    for path in sorted(folder.glob(f"results/adapt/**/{PREDICTIONS}")):
        try:
            run, own = _one(folder, path, truth)
        except UserError as error:
            faults.append(Fault(_name(folder, path), str(error).replace(f"{path}: ", "")))
            continue
        faults += own
        runs.append(run)
    if not runs and not faults:
        faults.append(Fault("results/adapt", f"no {PREDICTIONS} below it: nothing to score"))
    faults += list(_copies(folder, runs))
    if not faults:
        # Nothing is written into the submission, nor are kept scores of its authors taken.
        with TemporaryDirectory() as cache:
            asked: dict[str, Any] = {"bootstrap": said.bootstrap, "cache": Path(cache)}
            scored = score_runs(runs, results=folder / "results", **asked)
        faults += _claimed(folder, scored)
        if not faults and out is not None:
            _preview(scored, said, out)
    for note in sorted(truth.unknown):
        say(f"not checked: {note}")
    for fault in faults:
        say(f"fault: {fault}")
    if faults:
        raise UserError(f"{folder}: {len(faults)} faults, see above; nothing of it is taken")
    say(f"{folder}: {len(runs)} predictions of {said.title!r}, scored again, no fault")


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _facts(folder: Path) -> tuple[Submission, list[Fault]]:
    """Return what submission.yaml says, or made-up facts and what is wrong with it."""
    made_up = {"title": "unnamed", "authors": ["nobody"], "licence": "CC-BY-4.0"}
    nothing = Submission.model_validate(made_up)
    try:
        values, (_, *bases) = read_grid(folder / FACTS)
        faults = [Fault(FACTS, "base: a submission has none; remove it")] if bases else []
        return Submission.model_validate(values), faults
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        return nothing, [Fault(FACTS, text) for text in told]
    except UserError as error:
        return nothing, [Fault(FACTS, str(error).replace(f"{folder / FACTS}: ", ""))]


def _files(folder: Path) -> list[Fault]:
    """Return a fault for all that is no data: links, weights, code, pickles."""
    found = []
    entries = (Path(at, name) for at, inner, files in walk(folder) for name in (*inner, *files))
    for path in sorted(entries):
        name = _name(folder, path)
        if path.is_symlink():
            found.append(Fault(name, "is a link; put the file itself here"))
        elif path.is_dir():
            continue
        elif path.suffix not in SUFFIXES or not path.is_file():
            found.append(
                Fault(name, f"is no data; only {', '.join(sorted(SUFFIXES))} are taken; remove it")
            )
    return found


def _one(folder: Path, path: Path, truth: Truth) -> tuple[AdaptRun, list[Fault]]:
    """Return the run of one file of predictions and what is wrong with it.

    Raises:
        UserError: it cannot be read, or its place names no words of this project.
    """
    parts = path.parent.relative_to(folder / "results" / "adapt").parts
    if len(parts) != len(PLACE):
        raise UserError(f"lies elsewhere than results/adapt/{'/'.join(PLACE).upper()}")
    place = dict(zip(PLACE, parts, strict=True))
    for name, word in place.items():
        check_word(name, word)
    for kind, word in (("protocols", place["protocol"]), ("heads", place["head"])):
        registry.path(kind, word)
    registry.path("datasets", data_word(place["dataset"]))
    task = str(registry.constant("heads", place["head"], "TASK"))
    frame, meta = tables.read(path, f"predictions_{task}")
    run: dict[str, Any] = meta["run"]
    name = _name(folder, path)
    own = [
        Fault(
            name, f"its place says {key} {value}, its metadata {_said(run, key)[:100]}; correct it"
        )
        for key, value in place.items()
        if _said(run, key) != value
    ]
    placed = not own
    settings = run.get("settings")
    known = {"method": run.get("method"), **(settings if isinstance(settings, dict) else {})}
    if digest(known) != run.get("settings_hash"):
        own.append(
            Fault(name, "its settings_hash is not that of its method and settings; run it again")
        )
    draws, fractions = (tuple(sorted({int(v) for v in frame[n]})) for n in ("draw", "fraction"))
    # Its words are names of folders: where they are not those of its place they lead anywhere.
    if placed:
        own += [Fault(name, text) for text in broken(frame, meta, place["head"])]
        own += [Fault(name, text) for text in truth.faults(frame, meta, task)]
    seed = int(place["seed"].removeprefix("seed")) if place["seed"][4:].isdecimal() else 0
    pretrain = PretrainRun(
        place["budget"],
        place["variant"],
        str(run.get("method")),
        settings if isinstance(settings, dict) else {},
        place["encoder"],
        str(run.get("family")),
        place["corpus"],
        seed,
    )
    words = (place["protocol"], place["dataset"], task, place["head"])
    return AdaptRun(*words, pretrain, draws, fractions), own


def _said(run: dict[str, Any], key: str) -> str:
    return f"seed{run.get('seed')}" if key == "seed" else str(run.get(key))


def _copies(folder: Path, runs: list[AdaptRun]) -> Iterator[Fault]:
    """Yield predictions that stand twice, or that were released under another name."""
    released: dict[str, str] = {}
    for path in sorted(provenance.ROOT.glob(f"results/released/*/{CLAIMED}")):
        listed = tables.columns_of(path, ["predictions_sha256", "variant"]).to_pandas()
        for hashed, variant in listed.drop_duplicates().to_numpy().tolist():
            released[str(hashed)] = f"row {variant} of {path.parent.name}, released here"
    drawn: dict[tuple[int, ...], str] = {}
    seen: dict[tuple[str, int], str] = {}
    for run in runs:
        path = folder / run.predictions
        if registry.constant("heads", run.head, "ADAPTS") != "untrained":
            drawn.setdefault(run.draws, run.predictions)
        # By what is predicted: names, settings and times of the copy may be others.
        values = (run.task, _content(tables.read(path, f"predictions_{run.task}")[0]))
        twin = seen.get(values) or released.get(sha256(path))
        if twin:
            yield Fault(run.predictions, f"is a copy of {twin}")
        seen[values] = run.predictions
    if len(drawn) > 1:
        (one, where), (other, there), *_ = drawn.items()
        yield Fault(there, f"has label draws {other}, {where} has {one}: hand in the same of all")


def _content(frame: pd.DataFrame) -> int:
    """Return a number of the predicted values, whatever the order of the rows."""
    each = pd.util.hash_pandas_object(frame[sorted(frame.columns)], index=False)
    return int(each.sum())


def _claimed(folder: Path, scored: Scored) -> list[Fault]:
    """Return where the claimed scores are not what the predictions give."""
    path = folder / CLAIMED
    if not os.path.lexists(path):
        return []
    try:
        claimed, _ = tables.read(path, "scores")
    except UserError as error:
        return [Fault(CLAIMED, str(error).replace(f"{path}: ", ""))]
    lines = list(differing(claimed, _frame(scored)))
    if not lines:
        return []
    return [Fault(CLAIMED, f"{len(lines)} values are not those of the predictions: {lines[0]}")]


def _frame(scored: Scored) -> pd.DataFrame:
    return pd.DataFrame([row for pair in scored for row in rows(*pair)])


def _preview(scored: Scored, said: Submission, out: Path) -> None:
    """Write the tables of the submission and print where they are."""
    mains = {run.predictions: scores.main for run, scores in scored}
    meta = {"main_metrics": mains, "title": said.title}
    forms: dict[str, Callable[[Any], str]] = {"md": formats.to_markdown, "html": formats.to_html}
    for task, table in main_tables(_frame(scored), meta).items():
        for suffix, convert in forms.items():
            with atomic(out / f"{task}.{suffix}") as temporary:
                temporary.write_text(convert(table))
            say(f"preview: {out / f'{task}.{suffix}'}")
