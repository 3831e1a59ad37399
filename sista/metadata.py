"""The metadata of tables and checkpoints, JSON objects with known types; the types of columns."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import pyarrow
import pyarrow.parquet
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sista.errors import WORD, UserError, check_version
from sista.files import reading

META_KEY, CONTRACT_KEY = b"sista", b"sista.contract"
# Of the contracts; raised where an older reader would misread what is written.
VERSION = 1
# No stage writes one of these without a row.
NEVER_EMPTY = ("inventory", "manifest", "split", "scores")
AGAIN = "run the stage that makes it again"


def data_word(reference: str) -> str:
    """Return the word of a data set reference `WORD[+READING][@ORIGIN]`."""
    return reference.partition("@")[0].partition("+")[0]


def data_reading(reference: str) -> str:
    """Return the reading of a data set reference, empty for the usual one."""
    return reference.partition("@")[0].partition("+")[2]


class _Typed(BaseModel):
    """Every field may be absent: what is read and is not there is told by `Meta`."""

    model_config = ConfigDict(extra="allow", strict=True)


class Refused(_Typed):
    """A draw and label fraction that cannot be used, and why."""

    draw: int | None = None
    fraction: int
    reason: str


class _Inventory(_Typed):
    n: int = 0
    dataset: str = ""


class _Manifest(_Typed):
    dataset: str = ""
    release: str = ""
    labels: list[str] = []
    all_labels: list[str] = []
    mask_label: str | None = None
    box_labels: list[str] = []
    multiclass: bool = False
    prepared_size: int = Field(1, ge=1)
    # Names of files beside the manifest, so no path.
    images: str = Field("images.npy", pattern=r"^[^/\\\x00]+$")
    vocabulary: str = Field("vocabulary.json", pattern=r"^[^/\\\x00]+$")
    n: int = 0


class _Split(_Typed):
    dataset: str = ""
    hash: str = ""
    draws: int = Field(1, ge=1, le=1000)
    fractions: list[Annotated[int, Field(ge=1, le=100)]] = []
    refused: list[Refused] = []


_Word = Annotated[str, Field(pattern=f"^(?:{WORD})$")]
_Words = Annotated[str, Field(pattern=f"^(?:{WORD}(?:, {WORD})*)?$")]


class _PredictionsRun(_Typed):
    seed: Annotated[int, Field(ge=0)] = 0
    code_version: _Word = "0"
    lock_hash: _Word = "0"
    split_hash: _Word = "0"
    device: _Word = "cpu"
    release: str = ""
    peak_mb: float = 0.0
    wall_s: dict[str, float] = {}
    host: dict[str, Any] = {}


class _Predictions(_Typed):
    run: _PredictionsRun = Field(default_factory=_PredictionsRun)
    refused: list[Refused] = []
    labels: list[str] = []
    multiclass: bool = False
    zoom: float = Field(1.0, gt=0, allow_inf_nan=False)


class _Comparison(_Typed):
    dataset: str
    task: str
    head: str
    encoder: str
    metric: str
    variant: str
    baseline: str
    fraction: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


class _Scores(_Typed):
    grid: str = ""
    title: str = ""
    bootstrap: int = Field(1, ge=1)
    main_metrics: dict[str, str] = {}
    comparisons: list[_Comparison] = []
    controls: list[str] = []
    hosts: list[dict[str, Any]] = []


class _Checkpoint(_Typed):
    word: _Words = ""
    method: _Words = ""
    variant: _Words = ""
    family: _Words = ""
    corpus: _Words = ""
    budget: _Words = ""
    seed: int = Field(0, ge=0, lt=2**63)
    settings: dict[str, Any] = {}
    settings_hash: _Words = ""
    image_encoder: dict[str, Any] = {}
    text_encoder: dict[str, Any] | None = None
    tokenizer: str | None = None
    plateau: _Words | None = None
    released: dict[str, Any] | None = None


_MODELS: dict[str, type[_Typed]] = {
    **{"inventory": _Inventory, "manifest": _Manifest, "split": _Split},
    **{"predictions": _Predictions, "scores": _Scores, "checkpoint": _Checkpoint},
}


class Meta(dict[str, Any]):
    """Metadata that know which file they are of: a key that is not there is an error that says so.

    Args:
        path: of the file.
        values: by key.
    """

    def __init__(self, path: Path | str, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise UserError(f"{self.path}: its metadata lack {key!r}; {AGAIN}")

    def __reduce__(self) -> Any:
        return Meta, (self.path, dict(self))

    @classmethod
    def parsed(cls, path: Path | str, text: bytes | str) -> "Meta":
        """Return the metadata of a JSON object.

        Raises:
            UserError: the text is none.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: its metadata are no JSON; {AGAIN}") from error
        if not isinstance(values, dict):
            raise UserError(f"{path}: its metadata are no JSON object; {AGAIN}")
        return cls(path, values)

    def check(self, kind: str) -> None:
        """Refuse values of another type.

        Args:
            kind: of table, or `checkpoint`; other kinds have no metadata of their own.

        Raises:
            UserError: names file and key.
        """
        try:
            _MODELS.get(kind, _Typed).model_validate(dict(self))
        except ValidationError as error:
            first = error.errors()[0]
            where = f"{self.path}: its metadata, {'.'.join(map(str, first['loc']))}"
            raise UserError(f"{where}: {first['msg']}; {AGAIN}") from error


@contextmanager
def opened(path: Path | str, remedy: str = AGAIN) -> Iterator[pyarrow.parquet.ParquetFile]:
    """Open one Parquet file.

    By a stream: Arrow takes a folder for a data set, `key=value` in a path for a column, and `s3:`
    at its start for an address.
    """
    with (
        reading(path, remedy),
        Path(path).open("rb") as stream,
        pyarrow.parquet.ParquetFile(stream) as file,
    ):
        yield file


def stored_metadata(kind: str, meta: Mapping[str, Any]) -> dict[bytes, str]:
    """Return what a Parquet file of contract `kind` keeps beside its columns."""
    text = json.dumps(dict(meta), sort_keys=True, default=str)
    return {META_KEY: text, CONTRACT_KEY: json.dumps({"kind": kind, "version": VERSION})}


def table_metadata(path: Path | str, kind: str, file: Any) -> Meta:
    """Return the checked metadata of a table of contract `kind`.

    Raises:
        UserError: it has none, those of another contract or version, or other rows than they say.
    """
    stored = file.metadata or {}
    contract = Meta.parsed(path, stored.get(CONTRACT_KEY, b"{}"))
    # Tables of the first release say neither; their columns tell them apart.
    check_version(path, contract.get("version", VERSION), VERSION)
    if contract.get("kind", kind) != kind:
        raise UserError(f"{path}: is a table of {contract['kind']}, not of {kind}")
    if not file.num_rows and kind in NEVER_EMPTY:
        raise UserError(f"{path}: has no rows; {AGAIN}")
    meta = Meta.parsed(path, stored.get(META_KEY, b"{}"))
    meta.check(kind.partition("_")[0])
    if meta.get("main_metrics") == {}:
        raise UserError(f"{path}: its metadata name no main metrics; {AGAIN}")
    if not file.num_rows and kind.startswith("predictions_") and not meta.get("refused"):
        raise UserError(f"{path}: has no rows, and no reason why; {AGAIN}")
    if kind in NEVER_EMPTY and meta.get("n", file.num_rows) != file.num_rows and kind != "scores":
        raise UserError(f"{path}: {file.num_rows} rows, but it was made with {meta['n']}; {AGAIN}")
    return meta


def check_columns(
    path: Path | str, kind: str, columns: Mapping[str, Any], file: Any, *, some: bool
) -> None:
    """Refuse columns that are not those of a contract, before any value is read.

    Args:
        path: of the table.
        kind: of contract.
        columns: of the contract, of pandera.
        file: opened Parquet file.
        some: only some columns will be read and validated: here all must be there, no others, and
            none without its values as far as the file's own counts tell.

    Raises:
        UserError: names file and column: twice, of another type (which a conversion would change in
            silence), missing, unknown, or with null.
    """
    found = file.schema_arrow
    if len(set(found.names)) < len(found.names):
        raise UserError(f"{path}: a column stands twice; {AGAIN}")
    fits = {"object": _is_text, "int64": pyarrow.types.is_integer, "float64": _is_number}
    for name, column in columns.items():
        if name in found.names and not fits[str(column.dtype)](found.field(name).type):
            told = f"column {name!r} holds {found.field(name).type} in place of {column.dtype}"
            raise UserError(f"{path}: {told}; {AGAIN}")
    for name, fault in _faults(columns, file) if some else ():
        raise UserError(f"{path}: not a valid {kind} table: column {name!r} {fault}; {AGAIN}")


def _faults(columns: Mapping[str, Any], file: Any) -> Iterator[tuple[str, str]]:
    """Yield the columns that are missing, unknown, or null where they may not be."""
    names = file.schema_arrow.names
    patterns = [name for name, column in columns.items() if column.regex]
    for name, column in columns.items():
        if column.required and not column.regex and name not in names:
            yield name, "is missing"
    for name in names:
        if name not in columns and not any(re.match(pattern, name) for pattern in patterns):
            yield name, "is unknown"
    groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
    for part in (group.column(n) for group in groups for n in range(group.num_columns)):
        known, counts = columns.get(part.path_in_schema), part.statistics
        null = counts.null_count if counts and counts.has_null_count else 0
        if known and not known.nullable and null:
            yield part.path_in_schema, "has null in place of values"


def _is_text(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return any(is_it(kind) for is_it in (types.is_string, types.is_large_string, types.is_null))


def _is_number(kind: pyarrow.DataType) -> bool:
    return bool(pyarrow.types.is_floating(kind) or pyarrow.types.is_integer(kind))
