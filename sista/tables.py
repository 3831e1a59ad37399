"""The contracts between stages: typed tables in Parquet, validated on every write and read.

A table carries one JSON dictionary of metadata in the Parquet schema (data set, hashes, run).
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.parquet

from sista import registry
from sista.errors import UserError
from sista.files import atomic

META_KEY = b"sista"
SUBSETS = ("train", "val", "test")


def _text(nullable: bool = False, **settings: Any) -> pa.Column:
    return pa.Column(object, nullable=nullable, coerce=True, **settings)


def _number(nullable: bool = False, **settings: Any) -> pa.Column:
    return pa.Column(float, nullable=nullable, coerce=True, **settings)


def _integer(**settings: Any) -> pa.Column:
    return pa.Column("int64", coerce=True, **settings)


_PREDICTED = {
    "subset": _text(checks=pa.Check.isin(("val", "test"))),
    "draw": _integer(),
    "fraction": _integer(),
    "image_id": _text(),
    "patient_id": _text(),
}
_PROVENANCE_TEXT = (
    "variant method settings_hash encoder family corpus budget dataset release split_hash protocol "
    "task head subset metric label code_version lock_hash device predictions predictions_sha256"
).split()

SCHEMAS: dict[str, pa.DataFrameSchema] = {
    "inventory": pa.DataFrameSchema(
        {
            "path": _text(unique=True),
            "size": _integer(checks=pa.Check.ge(0)),
            "sha256": _text(),
            "mtime_ns": _integer(required=False),
            "ctime_ns": _integer(required=False),
        },
        strict=True,
    ),
    "manifest": pa.DataFrameSchema(
        {
            "image_id": _text(unique=True),
            "patient_id": _text(),
            "study_id": _text(nullable=True),
            "view": _text(nullable=True),
            "path": _text(),
            "row": _integer(unique=True, checks=pa.Check.ge(0)),
            "height": _integer(checks=pa.Check.gt(0)),
            "width": _integer(checks=pa.Check.gt(0)),
            "scale": _number(checks=pa.Check.gt(0)),
            "pad_x": _number(),
            "pad_y": _number(),
            "spacing": _number(nullable=True),
            "boxes": _text(nullable=True),
            "mask": _text(nullable=True),
            "report": _text(nullable=True),
            "release": _text(),
            "content_hash": _text(),
            "official": _text(nullable=True, checks=pa.Check.isin(SUBSETS)),
            r"^label\..+": pa.Column(float, nullable=True, coerce=True, regex=True, required=False),
        },
        strict=True,
    ),
    "split": pa.DataFrameSchema(
        {
            "dataset": _text(),
            "subset": _text(checks=pa.Check.isin(SUBSETS)),
            "draw": _integer(),
            "fraction": _integer(),
            "image_id": _text(),
        },
        unique=["subset", "draw", "fraction", "image_id"],
        strict=True,
    ),
    "regions": pa.DataFrameSchema(
        {"image_id": _text(), "label": _text(), "mask": _text()}, strict=True
    ),
    "scores": pa.DataFrameSchema(
        {
            **{name: _text() for name in _PROVENANCE_TEXT},
            "seed": _integer(),
            "fraction": _integer(),
            "draw": _integer(),
            "value": _number(nullable=True),
            "low": _number(nullable=True),
            "high": _number(nullable=True),
            "n": _integer(checks=pa.Check.ge(0)),
            "note": _text(nullable=True),
            "wall_s": _number(nullable=True),
            "peak_mb": _number(nullable=True),
        },
        strict=True,
    ),
}


@cache
def schema(kind: str) -> pa.DataFrameSchema:
    """Return a contract: a key of `SCHEMAS`, or `predictions_TASK` with the columns of that task.

    Raises:
        UserError: there is no such task.
    """
    prefix, _, task = kind.partition("predictions_")
    if prefix or not task:
        return SCHEMAS[kind]
    columns = registry.find("tasks", task).columns
    return pa.DataFrameSchema({**_PREDICTED, **columns}, strict=True)


def validate(frame: pd.DataFrame, kind: str, where: str = "table") -> pd.DataFrame:
    """Return `frame` with the column types of contract `kind`.

    Raises:
        UserError: names the column, the check and the first rows that fail.
    """
    try:
        return schema(kind).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.head(5)
        found = "; ".join(_explain(case) for case in cases.to_dict("records"))
        raise UserError(f"{where}: not a valid {kind} table: {found}") from error


def _explain(case: Mapping[Any, Any]) -> str:
    """Return a failure in words; values are left out, they may be a patient's."""
    if case["check"] == "column_in_dataframe":
        return f"column {case['failure_case']!r} is missing"
    if case["check"] == "column_in_schema":
        return f"column {case['failure_case']!r} is unknown"
    return f"column {case['column']!r}, row {case['index']}: {case['check']}"


def write(
    frame: pd.DataFrame, path: Path | str, kind: str, meta: Mapping[str, Any] | None = None
) -> None:
    """Validate `frame` as contract `kind` and write it atomically with its metadata."""
    checked = validate(frame, kind, str(path))
    # Text columns are written as strings even where all values are null.
    table = pyarrow.Table.from_pandas(checked, schema=_arrow_schema(checked), preserve_index=False)
    text = json.dumps(dict(meta or {}), sort_keys=True, default=str)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), META_KEY: text})
    with atomic(path) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")


def _arrow_schema(frame: pd.DataFrame) -> pyarrow.Schema:
    """Return the Arrow schema: text for object columns, 64 bits for numbers."""
    kinds = {"i": pyarrow.int64(), "f": pyarrow.float64(), "b": pyarrow.bool_()}
    return pyarrow.schema(
        [(name, kinds.get(frame[name].dtype.kind, pyarrow.string())) for name in frame.columns]
    )


def read(
    path: Path | str, kind: str, columns: list[str] | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table of contract `kind` and its metadata.

    Args:
        path: the Parquet file.
        kind: a key of `SCHEMAS`, or `predictions_TASK`.
        columns: read only these columns (the table is then not validated).

    Raises:
        UserError: the file is missing, not Parquet, or not of this kind.
    """
    try:
        table = pyarrow.parquet.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; run the stage that makes it first") from error
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path}: not a Parquet file; delete it and run again") from error
    metadata = table.schema.metadata or {}
    meta = json.loads(metadata.get(META_KEY, b"{}"))
    columns_read = zip(table.column_names, table.columns, strict=True)
    # Text stays Python objects with None for null, whatever pandas' default string type is.
    frame = pd.DataFrame({n: c.to_numpy(zero_copy_only=False) for n, c in columns_read})
    return (frame if columns else validate(frame, kind, str(path))), meta


def read_meta(path: Path | str) -> dict[str, Any]:
    """Read only the metadata of a table.

    Raises:
        UserError: the file is missing or not Parquet.
    """
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; run the stage that makes it first") from error
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path}: not a Parquet file; delete it and run again") from error
    meta: dict[str, Any] = json.loads(metadata.get(META_KEY, b"{}"))
    return meta
