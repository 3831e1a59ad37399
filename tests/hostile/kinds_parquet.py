"""Damaged tables of ours: valid Parquet with other columns, values and metadata."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.kinds_files import Damage

META = b"sista"


def table(change: Callable[[pa.Table], pa.Table]) -> Damage:
    """Return a damage of the table; the file stays valid Parquet."""
    return lambda path: pq.write_table(change(pq.read_table(path)), path)


def meta(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Return a damage of the JSON in the metadata."""

    def damage(path: Path) -> None:
        found = pq.read_table(path)
        known = json.loads((found.schema.metadata or {}).get(META, b"{}"))
        text = json.dumps(change(known))
        pq.write_table(found.replace_schema_metadata({META: text}), path)

    return damage


def _first(found: pa.Table, column: str, value: Any) -> pa.Table:
    """Put a value into the first row of a column."""
    values = found[column].to_pylist()
    values[0] = value
    return found.set_column(found.column_names.index(column), column, pa.array(values))


def cell(column: str, value: Any) -> Damage:
    return table(lambda found: _first(found, column, value))


def typed(column: str, kind: pa.DataType, value: Any) -> Damage:
    """Return a damage that makes a whole column of another type."""

    def change(found: pa.Table) -> pa.Table:
        values = pa.array([value] * len(found), type=kind)
        return found.set_column(found.column_names.index(column), column, values)

    return table(change)


def _renamed(found: pa.Table) -> pa.Table:
    return found.rename_columns(["other", *found.column_names[1:]])


def _doubled(found: pa.Table) -> pa.Table:
    return found.append_column(found.column_names[0], found.column(0))


def _page(path: Path) -> None:
    """Flip bytes inside the first pages; footer and length stay."""
    data = bytearray(path.read_bytes())
    for at in range(8, min(len(data) - 200, 600), 5):
        data[at] ^= 0xFF
    path.write_bytes(data)


def _footer(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-8:-4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)


def _meta_text(text: str) -> Damage:
    return table(lambda found: found.replace_schema_metadata({META: text}))


def nested(depth: int = 100_000) -> str:
    return "[" * depth + "]" * depth


ANY: dict[str, Damage] = {
    "damaged pages": _page,
    "damaged footer": _footer,
    "no row": table(lambda found: found.slice(0, 0)),
    "its first column missing": table(lambda found: found.remove_column(0)),
    "its last column missing": table(lambda found: found.remove_column(found.num_columns - 1)),
    "a column renamed": table(_renamed),
    "a column added": table(lambda found: found.append_column("more", pa.array([1] * len(found)))),
    "a column twice": table(_doubled),
    "another table": lambda path: pq.write_table(pa.table({"a": [1], "b": ["x"]}), path),
    "metadata no JSON": _meta_text("{"),
    "metadata no object": _meta_text("[1, 2]"),
    "metadata null": _meta_text("null"),
    "metadata nested deeply": _meta_text(nested()),
    "metadata not UTF-8": table(lambda found: found.replace_schema_metadata({META: b"\xff\xfe"})),
    "metadata of a newer version": meta(lambda known: {**known, "version": 999}),
}
# Only where the metadata is asked for anything.
NEEDS_META: dict[str, Damage] = {
    "no metadata": table(lambda found: found.replace_schema_metadata(None)),
    "metadata empty": meta(lambda known: {}),
    "metadata all null": meta(lambda known: dict.fromkeys(known)),
    "metadata all numbers": meta(lambda known: dict.fromkeys(known, 7)),
    "metadata all text": meta(lambda known: dict.fromkeys(known, "x")),
    "metadata all lists": meta(lambda known: {key: [] for key in known}),
}


def columns(names: tuple[str, ...]) -> dict[str, Damage]:
    """Return damages of the type of each of these columns."""
    found: dict[str, Damage] = {}
    for name in names:
        found[f"column {name} all null"] = typed(name, pa.string(), None)
        found[f"column {name} of lists"] = typed(name, pa.list_(pa.int64()), [1, 2])
        found[f"column {name} of structs"] = typed(name, pa.struct({"a": pa.int64()}), {"a": 1})
        found[f"column {name} of bytes"] = typed(name, pa.binary(), b"\xff\xfe")
        found[f"column {name} of dates"] = typed(name, pa.date32(), 3)
    return found
