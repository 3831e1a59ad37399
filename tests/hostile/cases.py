"""All bad inputs: each target with each of its kinds, each column with each value, each option."""

import csv
import io
import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.hostile import kinds_csv, options
from tests.hostile.downloads import downloads
from tests.hostile.guard import Case
from tests.hostile.kinds_files import UNREADABLE
from tests.hostile.targets import COMMANDS, TARGETS, Target

# Columns whose values are read; those of others are ignored as they stand.
COLUMNS = {
    "rsna_pneumonia/stage_2_train_labels.csv": ("patientId", "x", "y", "width", "height", "Target"),
    "chexpert/train.csv": ("Path", "Frontal/Lateral", "Edema"),
    "siim_acr/train-rle.csv": ("ImageId", " EncodedPixels"),
    "object_cxr/train.csv": ("image_name", "annotation"),
    "nih_chestxray14/Data_Entry_2017.csv": ("Image Index", "Finding Labels", "Patient ID"),
    "covid_chestxray/metadata.csv": ("patientid", "finding", "filename"),
    "mimic_cxr/mimic-cxr-2.0.0-split.csv.gz": ("dicom_id", "study_id", "split"),
}
# Whose output is a folder or file that may not be written.
STAGES = (
    "fetch",
    "prepare",
    "pretrain",
    "adapt",
    "score",
    "report",
    "import",
    "crate",
    "curves",
    "similarity",
)
OUT = {"prepare": ("out",), "compare": (), "list": ()}


def every(root: Path) -> list[Case]:
    """Return all cases in a fixed order.

    Args:
        root: the world, whose tables name their columns.
    """
    found = [case for target in [*TARGETS, *downloads()] for case in of_target(target)]
    found += list(_values(root))
    found += list(_options())
    found += list(_folders())
    words = [case.word for case in found]
    twice = sorted({word for word in words if words.count(word) > 1})
    assert not twice, f"cases of one name: {twice[:3]}"
    return found


def _arguments(command: str) -> tuple[str, ...]:
    return tuple(shlex.split(COMMANDS.get(command, command)))


def of_target(target: Target) -> Iterator[Case]:
    """Yield the cases of one input."""
    arguments = _arguments(target.command)
    verb = target.command if target.command in COMMANDS else " ".join(arguments[:2])
    base = Case(verb, target.path, "", arguments, None, target.path)
    names = (Path(target.path).name, *target.names)
    for kind, damage in target.kinds.items():
        accepts = kind in target.accepts or "*" in target.accepts
        case = _with(base, kind, damage, names, accepts)
        yield replace(case, told=target.told.get(kind, ""))
    if target.unreadable:
        for kind, damage in UNREADABLE.items():
            folder = Path(target.path).parent.name
            case = _with(base, kind, damage, (*names, folder), "*" in target.accepts)
            yield replace(case, nobody=True)


def _with(base: Case, kind: str, damage: object, names: tuple[str, ...], accepts: bool) -> Case:
    return replace(base, kind=kind, damage=damage, names=names, accepts=accepts)


def _values(root: Path) -> Iterator[Case]:
    """Yield each value in each column that is read; many a value is valid in many a column."""
    for file, columns in COLUMNS.items():
        word = file.partition("/")[0]
        path = f"raw/{file}"
        command = f"prepare {word} --source raw --out out/manifest.parquet --size 16"
        header = next(csv.reader(io.StringIO(kinds_csv.read(root / path).decode())))
        for column in columns:
            for kind, value in kinds_csv.VALUES.items():
                yield Case(
                    f"prepare {word}",
                    f"{path} {column.strip()}",
                    kind,
                    _arguments(command),
                    kinds_csv.value(header.index(column), value),
                    path,
                    # A film that is not there is named by its own path.
                    (Path(path).name,),
                    accepts=True,
                )


def _options() -> Iterator[Case]:
    """Yield each bad value of each option of each verb."""
    for verb, function in options.functions().items():
        valid = list(_arguments(verb))
        for name, kind, by_place in options.options(function):
            option = (
                "--print" if name == "show" and verb == "report" else f"--{name}".replace("_", "-")
            )
            for word, value in options.values(name, kind, ("out", "folder")).items():
                given = _replaced(valid, option, value, by_place, verb, name)
                yield Case(
                    verb,
                    option,
                    word,
                    tuple(given),
                    None,
                    "",
                    (
                        option,
                        option.strip("-").upper(),
                        value[:40] or option,
                        Path(value).name or option,
                        "of the command",
                    ),
                    accepts=word in (*_MAY.get((verb, name), ()), "full-width"),
                    told=_TOLD.get((verb, name, word), ""),
                    asks=word in _ASKS.get((verb, name), ()),
                )
        yield Case(verb, "--no-such", "unknown", (*valid, "--no-such"), names=("--no-such",))
        yield Case(verb, "an argument", "too many", (*valid, "one", "more"), names=("one", "more"))


_PROCESSES = "the folder of processes"
# Values that mean something: a file of any name, another row.
_MAY: dict[tuple[str, str], tuple[str, ...]] = {
    ("pretrain", "variant"): ("unknown", "a module", "a private file"),
    ("pretrain", "corpus"): ("unknown", "a module", "a private file"),
    # A cosine.
    ("similarity", "theta"): ("negative",),
    # A folder without predictions: then their tests are those of the scores.
    ("site", "results"): (_PROCESSES,),
}
# Folders that are there and hold nothing of the grid, a release that there is none of: said.
_TOLD = {
    ("report", "results", _PROCESSES): "holds no run of the grid",
    ("trace", "results", _PROCESSES): "(not here)",
    ("show", "released", "missing"): "Nothing was released to compare with",
    ("show", "released", "below a file"): "Nothing was released to compare with",
}
# Whatever may be a name of the hub is asked for there, as the option's help says.
_ASKS = {("similarity", "encoder"): ("unknown", "a module", "a private file")}


def _replaced(
    valid: list[str], option: str, value: str, by_place: bool, verb: str, name: str
) -> list[str]:
    """Return a valid command with another value of one option."""
    given = list(valid)
    if option in given:
        at = given.index(option) + 1
        end = next((n for n in range(at, len(given)) if given[n].startswith("--")), len(given))
        return [*given[: at - 1], f"{option}={value}", *given[end:]]
    if by_place:
        # Of arguments by place the first stands behind the verb's own words.
        place = [n for n, _, by in options.options(options.functions()[verb]) if by].index(name)
        at = len(verb.split()) + place
        if at < len(given) and not given[at].startswith("--"):
            given[at] = value
            return given
        return [*given[:at], value, *given[at:]]
    return [*given, f"{option}={value}"]


def _folders() -> Iterator[Case]:
    """Yield output folders of somebody else."""
    for verb in STAGES:
        damage = partial(_closed)
        yield Case(
            verb,
            "--out",
            "in a folder without write permission",
            _arguments(verb),
            damage,
            "out",
            ("out",),
            nobody=True,
        )
        yield Case(
            verb,
            "--out",
            "in a folder of somebody else",
            _arguments(verb),
            partial(_closed, mode=0o700),
            "out",
            ("out",),
            nobody=True,
        )


def _closed(path: Path, mode: int = 0o555) -> None:
    path.chmod(mode)
