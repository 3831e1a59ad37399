"""The contracts between stages: typed tables in Parquet, validated on every write and read.

A table carries one JSON dictionary of metadata in the Parquet schema (data set, hashes, run). What
a column holds, with its unit and the meaning of NaN, null and -1, is the column's description.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.parquet

from sista import registry
from sista.errors import WORD, UserError, check_limit
from sista.files import atomic
from sista.metadata import AGAIN, Meta, check_columns, opened, stored_metadata, table_metadata

SUBSETS = ("train", "val", "test")


def _isin(*words: str | int) -> pa.Check:
    return pa.Check.isin(words)


def _text(description: str, nullable: bool = False, **settings: Any) -> pa.Column:
    return pa.Column(object, nullable=nullable, coerce=True, description=description, **settings)


def _number(description: str, nullable: bool = False, **settings: Any) -> pa.Column:
    return pa.Column(float, nullable=nullable, coerce=True, description=description, **settings)


def _integer(description: str, **settings: Any) -> pa.Column:
    return pa.Column("int64", coerce=True, description=description, **settings)


def _each(holds: Callable[[str], object]) -> Callable[["pd.Series[str]"], "pd.Series[bool]"]:
    """Return a check of texts that asks once of each: few different ones in very many rows."""
    return lambda texts: texts.isin([text for text in texts.unique() if holds(str(text))])


_IS_WORD = _each(re.compile(WORD).fullmatch)
_WORDS = pa.Check(_IS_WORD, error="is no word (letters, digits and . _ + - @)")
_FINITE = pa.Check(np.isfinite, name="is_finite", error="is infinite")
_COUNTED = pa.Check.ge(0)
# Control characters and marks that nobody sees: by one of them a patient would be two.
_UNSEEN = r"[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
_IS_SEEN = _each(lambda text: not re.search(_UNSEEN, text))
_SEEN = pa.Check(_IS_SEEN, error="holds letters that are not seen")
_STAYS = _each(lambda path: not re.search(r"^/|(?:^|/)\.\.(?:/|$)|\0", path))
_BELOW = pa.Check(_STAYS, error="leads out of its folder")

# Of all predictions; a task adds its own. A row is one of a head's answers about one image.
_PREDICTED = {
    "subset": _text("val or test; training images are not predicted", checks=_isin("val", "test")),
    "draw": _integer("label subset and seed of the head, from 0; 0 where no label was used"),
    "fraction": _integer("percent of the training labels; 0 = no label was used"),
    "image_id": _text("as in the manifest"),
    "patient_id": _text("as in the manifest; intervals draw patients"),
}
_PROVENANCE = {
    "variant": "word of the grid: a method with its changed settings",
    "method": "word of the method",
    "settings_hash": "12 hex digits of method and changed settings",
    "encoder": "word of the encoder, e.g. resnet50",
    "family": "resnet or vit",
    "corpus": "pre-training data set",
    "budget": "word of the pre-training length",
    "dataset": "data set of the head, WORD or WORD@ORIGIN",
    "release": "release of that data set",
    "split_hash": "12 hex digits of the split, whatever the order of its rows",
    "protocol": "word of the protocol",
    "task": "word of the task",
    "head": "word of the head",
    "subset": "val (main metric only) or test",
    "metric": "word of the metric, see its task",
    "label": "a class, or macro or all for the value over all classes",
    "code_version": "git commit of the predictions' code; + and a hash where it was changed",
    "lock_hash": "12 hex digits of the environment's lock",
    "device": "cpu or cuda",
    "predictions": "path of the predictions, from the project's root",
    "predictions_sha256": "SHA-256 of that file",
}
# What was made elsewhere goes into paths, commands and tables; a release and a class are free text.
_CHECKS: dict[str, pa.Check | None] = dict.fromkeys(_PROVENANCE, _WORDS)
_CHECKS |= {"predictions": _BELOW, "release": None, "label": None}

SCHEMAS: dict[str, pa.DataFrameSchema] = {
    # A row is a file of a raw data set.
    "inventory": pa.DataFrameSchema(
        {
            "path": _text("relative to the data set's folder, with /", unique=True, checks=_BELOW),
            "size": _integer("bytes", checks=_COUNTED),
            "sha256": _text("SHA-256 of the content, 64 hex digits"),
            "mtime_ns": _integer("time of change, ns; in the cache of hashes only", required=False),
            "ctime_ns": _integer("the inode's, ns; in the cache of hashes only", required=False),
        },
        strict=True,
    ),
    # A row is a film. Native pixels are those of the film as read, prepared ones of the container.
    "manifest": pa.DataFrameSchema(
        {
            "image_id": _text("unique in the data set", unique=True, checks=_SEEN),
            "patient_id": _text("splits are by it; else the image_id", checks=_SEEN),
            "study_id": _text("null where the source has none", nullable=True),
            "view": _text("projection in the source's own words; null = unknown", nullable=True),
            "path": _text("of the raw file, as in the inventory", checks=_BELOW),
            "row": _integer("place in the image container", unique=True, checks=_COUNTED),
            "height": _integer("native pixels", checks=pa.Check.gt(0)),
            "width": _integer("native pixels", checks=pa.Check.gt(0)),
            "scale": _number("prepared pixels per native pixel", checks=pa.Check.gt(0)),
            "pad_x": _number("left border of the prepared square, prepared pixels"),
            "pad_y": _number("top border of the prepared square, prepared pixels"),
            "spacing": _number("mm per native pixel; NaN = unknown", nullable=True),
            "boxes": _text(
                "JSON list of {label, x, y, w, h} in native pixels, x and y of the upper left; "
                "[] = looked at, none; null = not annotated",
                nullable=True,
            ),
            "mask": _text(
                'JSON {"size": [height, width], "counts": COCO run lengths} at native size; all 0 '
                "= looked at, nothing; null = not annotated",
                nullable=True,
            ),
            "report": _text("text for pre-training; null = none", nullable=True),
            "release": _text("of the data set"),
            "content_hash": _text("of the native pixels; equal = the same image"),
            "official": _text(
                "subset that the source gives; null = none", nullable=True, checks=_isin(*SUBSETS)
            ),
            r"^label\..+": _number(
                "1 positive, 0 negative, -1 uncertain, NaN blank; a label policy decides on both",
                nullable=True,
                regex=True,
                required=False,
                checks=_isin(1, 0, -1),
            ),
        },
        strict=True,
    ),
    # A row is an image in one subset; a training image stands once for each draw and fraction.
    "split": pa.DataFrameSchema(
        {
            "dataset": _text("WORD or WORD@ORIGIN"),
            "subset": _text("train, val or test", checks=_isin(*SUBSETS)),
            "draw": _integer("from 0; -1 in val and test, which all draws share"),
            "fraction": _integer("percent of the training images; -1 in val and test"),
            "image_id": _text("as in the manifest"),
        },
        unique=["subset", "draw", "fraction", "image_id"],
        strict=True,
    ),
    # A row is a finding on one place of a film; empty where the source knows no places.
    "regions": pa.DataFrameSchema(
        {
            "image_id": _text("as in the manifest"),
            "label": _text("the finding; one on both sides has two rows"),
            "mask": _text("as in the manifest, at native size"),
        },
        strict=True,
    ),
    # A row is one metric of one head on one subset and label.
    "scores": pa.DataFrameSchema(
        {
            **{name: _text(text, checks=_CHECKS.get(name)) for name, text in _PROVENANCE.items()},
            "seed": _integer("of pre-training", checks=_COUNTED),
            "fraction": _integer("percent of the labels; 0 = none", checks=_isin(0, 1, 10, 100)),
            "draw": _integer("label subset and seed of the head, from 0", checks=_COUNTED),
            "value": _number("shares are 0 to 1; NaN = see note", nullable=True, checks=_FINITE),
            "low": _number("of the 95 % interval over patients; NaN in val", nullable=True),
            "high": _number("of the 95 % interval over patients; NaN in val", nullable=True),
            "n": _integer("images (grounding: findings) behind the value", checks=_COUNTED),
            "note": _text("why there is no value; null where there is one", nullable=True),
            "wall_s": _number("seconds that the head took; NaN = unknown", nullable=True),
            "peak_mb": _number("peak memory of the head's job in MB", nullable=True),
            "plateau": _text(
                "left, late or stuck: whether pre-training left the plateau at its start, late = "
                "after more than 40 % of its budget; null = not trained, or it cannot be told",
                nullable=True,
                checks=_isin("left", "late", "stuck"),
                required=False,  # older files lack it; reading fills it with null
            ),
        },
        unique=["predictions", "subset", "fraction", "draw", "metric", "label"],
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


def validate(
    frame: pd.DataFrame, kind: str, where: str = "table", columns: list[str] | None = None
) -> pd.DataFrame:
    """Return `frame` with the column types of contract `kind`, or of some of its columns.

    Raises:
        UserError: names the column, the check and the first rows that fail.
    """
    contract = schema(kind)
    if columns is not None:
        some = {n: c for n, c in contract.columns.items() if n in columns or c.regex}
        contract = pa.DataFrameSchema(some, strict=True)
    try:
        return contract.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.head(5)
        faults = "; ".join(_explain(case) for case in cases.to_dict("records"))
        raise UserError(f"{where}: not a valid {kind} table: {faults}") from error


def _explain(case: Mapping[Any, Any]) -> str:
    """Return a failure in words; values are left out, they may be a patient's."""
    state = {"column_in_dataframe": "missing", "column_in_schema": "unknown"}.get(case["check"])
    if state:
        return f"column {case['failure_case']!r} is {state}"
    return f"column {case['column']!r}, row {case['index']}: {case['check']}"


def write(
    frame: pd.DataFrame, path: Path | str, kind: str, meta: Mapping[str, Any] | None = None
) -> None:
    """Validate `frame` as contract `kind` and write it atomically with its metadata."""
    checked = validate(frame, kind, str(path))
    # Text columns are written as strings even where all values are null.
    table = pyarrow.Table.from_pandas(checked, schema=_arrow_schema(checked), preserve_index=False)
    extra = stored_metadata(kind, meta or {})
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **extra})
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
) -> tuple[pd.DataFrame, Meta]:
    """Read a table of contract `kind` and its metadata.

    Args:
        path: the Parquet file.
        kind: a key of `SCHEMAS`, or `predictions_TASK`.
        columns: read only these columns (their values are then not validated).

    Raises:
        UserError: the file is missing, damaged, too large, made by a newer version, or not of this
            kind.
    """
    with opened(path) as file:
        meta = table_metadata(path, kind, file.metadata)
        check_limit("SISTA_MAX_ROWS", file.metadata.num_rows, f"{path}")
        check_columns(path, kind, schema(kind).columns, file, some=bool(columns))
        table = file.read(columns=columns)
        columns_read = zip(table.column_names, table.columns, strict=True)
        # Text stays Python objects with None for null, whatever pandas' default string type is.
        frame = pd.DataFrame({n: c.to_numpy(zero_copy_only=False) for n, c in columns_read})
        if not columns:
            known = schema(kind).columns.values()
            added = (c.name for c in known if c.nullable and not (c.required or c.regex))
            frame = frame.assign(**{n: None for n in added if n not in frame})
        return (frame if columns else validate(frame, kind, str(path))), meta


def columns_of(
    path: Path | str, columns: list[str] | None = None, remedy: str = AGAIN
) -> pyarrow.Table:
    """Return columns of a Parquet file of no contract, unchecked; damage is a `UserError`."""
    with opened(path, remedy) as file:
        return file.read(columns=columns)


def read_meta(path: Path | str, kind: str) -> Meta:
    """Read only the metadata of a table of contract `kind`; raises as `read`."""
    with opened(path) as file:
        return table_metadata(path, kind, file.metadata)
