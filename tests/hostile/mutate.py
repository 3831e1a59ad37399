"""Mutations of valid files: of their bytes, and of what a container holds while it stays one."""

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Mutation = Callable[[bytes, random.Random, bytes], bytes]
META = b"sista"
NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 7, 255, 256, 2**31 - 1, -(2**31), 2**63 - 1, 2**64, 10**30),
    *(0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf")),
)
TEXTS = ("", "x", "../../../etc/passwd", "/dev/zero", "n" * 300, "\x1b[2J", "é\u202e", "=1+1", "\0")
VALUES: tuple[Any, ...] = (*NUMBERS, *TEXTS, None, True, [], {}, [[]], {"a": 1}, [1, "x", None])
TOKENS = tuple(
    text.encode("utf-8", "surrogatepass")
    for text in (*map(str, NUMBERS), *TEXTS, "\n", "\r", ",", '"', "{", "]", ":", "- ", "\ud800")
)


def flip(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Flip one to eight bits."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8) if data else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Cut the end."""
    return data[: chance.randrange(len(data) + 1)]


def drop(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Take a piece out."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randint(1, 64) :]


def insert(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Put random bytes or a token in."""
    at = chance.randrange(len(data) + 1)
    piece = (
        chance.choice(TOKENS) if chance.random() < 0.6 else chance.randbytes(chance.randint(1, 32))
    )
    return data[:at] + piece + data[at:]


def overwrite(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Write a number of a machine over some bytes."""
    at = chance.randrange(len(data) + 1)
    width = chance.choice((1, 2, 4, 8))
    number = chance.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 255, 65535)) % (1 << 8 * width)
    piece = number.to_bytes(width, chance.choice(("little", "big")))
    return data[:at] + piece + data[at + width :]


def repeat(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Repeat a piece up to a hundred times."""
    at = chance.randrange(len(data) + 1)
    piece = data[at : at + chance.randint(1, 64)]
    return data[:at] + piece * chance.randint(1, 100) + data[at:]


def splice(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Go on with another valid file."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + other[chance.randrange(len(other) + 1) :]


BYTES: tuple[Mutation, ...] = (flip, flip, cut, drop, insert, overwrite, repeat, splice)


def any_bytes(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Apply one to three mutations of bytes."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(BYTES)(data, chance, other)
    return data


def node(value: Any, chance: random.Random) -> Any:
    """Return JSON-like data with one node changed, taken out or repeated."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value, key=str))
        changed, how = dict(value), chance.random()
        if how < 0.15:
            del changed[key]
        elif how < 0.25:
            changed[chance.choice(("more", "", "version", *TEXTS))] = changed[key]
        else:
            changed[key] = node(changed[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.9:
        at, how = chance.randrange(len(value)), chance.random()
        if how < 0.15:
            return value[:at] + value[at + 1 :]
        if how < 0.3:
            return value[:at] + [value[at]] * chance.choice((2, 3, 50)) + value[at:]
        return [*value[:at], node(value[at], chance), *value[at + 1 :]]
    if isinstance(value, str) and chance.random() < 0.4:
        return any_bytes(value.encode(), chance, b"abc").decode(errors="replace")
    if isinstance(value, int | float) and not isinstance(value, bool) and chance.random() < 0.3:
        return value * chance.choice((-1, 2, 1000, 10**9))
    return chance.choice(VALUES)


def json_text(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Change one or two nodes of a JSON text; it stays JSON."""
    value = json.loads(data)
    for _ in range(chance.choice((1, 1, 2))):
        value = node(value, chance)
    return json.dumps(value).encode()


def table_cells(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Change a cell, row or column of a CSV text."""
    rows = list(csv.reader(io.StringIO(data.decode(errors="replace"), newline="")))
    at = chance.randrange(len(rows))
    how = chance.random()
    if how < 0.2:
        rows.insert(at, list(rows[chance.randrange(len(rows))]))
    elif how < 0.3:
        del rows[at]
    elif how < 0.4:
        column = chance.randrange(max(1, len(rows[0])))
        rows = [row[:column] + row[column + 1 :] for row in rows]
    elif rows[at]:
        column = chance.randrange(len(rows[at]))
        rows[at][column] = str(node(rows[at][column], chance))
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode("utf-8", "replace")


def parquet(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Change values, types, columns, rows or metadata; the file stays valid Parquet."""
    table = pq.read_table(pa.BufferReader(data))
    how = chance.random()
    if how < 0.35:
        known = json.loads((table.schema.metadata or {}).get(META, b"{}"))
        text = json.dumps(node(known, chance)).encode()
        if chance.random() < 0.2:
            text = any_bytes(text, chance, b"[]")
        table = table.replace_schema_metadata({META: text})
    elif how < 0.45:
        at = chance.randrange(table.num_columns)
        table = (
            table.remove_column(at)
            if chance.random() < 0.5
            else table.append_column(
                chance.choice(("more", table.column_names[at])), table.column(at)
            )
        )
    elif how < 0.55:
        table = table.slice(chance.randrange(len(table) + 1), chance.randrange(len(table) + 1))
        if chance.random() < 0.5:
            table = pa.concat_tables([table, table.slice(0, 2)])
    else:
        table = _column(table, chance)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=chance.choice(("zstd", "none", "snappy")))
    return sink.getvalue().to_pybytes()


def _column(table: pa.Table, chance: random.Random) -> pa.Table:
    """Change a value of a column, or the type of all."""
    at = chance.randrange(table.num_columns)
    name = table.column_names[at]
    values = table.column(at).to_pylist()
    if values and chance.random() < 0.7:
        place = chance.randrange(len(values))
        text = values[place]
        if isinstance(text, str) and text[:1] in "[{" and chance.random() < 0.7:
            values[place] = json.dumps(node(json.loads(text), chance))
        else:
            values[place] = node(text, chance)
    else:
        values = [chance.choice(VALUES)] * len(values)
    for kind in (table.column(at).type, None, pa.string()):
        try:
            texts = (
                [None if v is None else str(v) for v in values] if kind == pa.string() else values
            )
            return table.set_column(at, name, pa.array(texts, type=kind))
        except (pa.ArrowException, OverflowError, ValueError, TypeError, UnicodeError):
            continue
    return table


def safetensors(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Change the header or the JSON in its metadata; offsets and length stay right."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    if "__metadata__" in header and chance.random() < 0.7:
        known = header["__metadata__"]
        key = chance.choice(sorted(known))
        try:
            known[key] = json.dumps(node(json.loads(known[key]), chance))
        except ValueError:
            known[key] = chance.choice(TEXTS)
    else:
        header = node(header, chance)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[end:]


def array(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Change shape, type or values of a NumPy file."""
    value = np.load(io.BytesIO(data))
    how = chance.random()
    if how < 0.4:
        kinds = ("f4", "f8", "i8", "u2", "c8", "U3", "M8[s]", "?", "S2", ">i4")
        value = value.astype(chance.choice(kinds))
    elif how < 0.7:
        value = value[
            tuple(
                slice(0, chance.choice((0, 1, None))) for _ in range(chance.randint(1, value.ndim))
            )
        ]
    else:
        value = value.reshape(chance.choice(((-1,), (1, *value.shape), (*value.shape, 1))))
    stream = io.BytesIO()
    np.save(stream, value)
    return stream.getvalue()


def seeds_of(paths: list[Path], most: int = 64) -> list[bytes]:
    """Return the contents of at most so many files, evenly taken."""
    step = max(1, len(paths) // most)
    return [path.read_bytes() for path in paths[::step] if path.is_file()]
