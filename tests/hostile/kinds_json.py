"""Damaged JSON: records of runs and other files of ours; valid JSON of other shapes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.kinds_files import Damage, text
from tests.hostile.kinds_parquet import nested

ANY: dict[str, Damage] = {
    "no JSON": text("{"),
    "a list": text("[1, 2]"),
    "null": text("null"),
    "a number": text("7"),
    "an empty object": text("{}"),
    "nested deeply": text(nested()),
    "a number of 5,000 digits": text('{"version": ' + "9" * 5000 + "}"),
    "a lone surrogate": text('{"stage": "\\ud800"}'),
}


def edit(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Return a damage of the object; the file stays JSON (NaN as Python writes it)."""
    return lambda path: (
        (path.write_text(json.dumps(change(json.loads(path.read_text())))) and None) or None
    )


def put(name: str, value: Any) -> Damage:
    return edit(lambda known: {**known, name: value})


def _outputs(name: str) -> Damage:
    """Return a damage that renames what a record's run made, to a path that leads elsewhere."""

    def change(known: dict[str, Any]) -> dict[str, Any]:
        fact = next(iter(known["outputs"].values()))
        return {**known, "outputs": {**known["outputs"], name: fact}}

    return edit(change)


def _inputs(name: str) -> Damage:
    def change(known: dict[str, Any]) -> dict[str, Any]:
        fact = next(iter({**known["outputs"], **known["inputs"]}.values()))
        return {**known, "inputs": {**known["inputs"], name: fact}}

    return edit(change)


def _itself(path: Path) -> None:
    """Let a run have read what it made: a circle."""
    known = json.loads(path.read_text())
    known["inputs"] = known["outputs"]
    path.write_text(json.dumps(known))


RECORD: dict[str, Damage] = {
    **{
        f"{name} missing": edit(lambda known, n=name: {k: v for k, v in known.items() if k != n})
        for name in ("version", "stage", "run", "outputs", "inputs", "facts", "host", "started")
    },
    **{f"{name} null": put(name, None) for name in ("stage", "run", "outputs", "inputs", "facts")},
    **{f"{name} a list": put(name, [1]) for name in ("run", "outputs", "inputs", "facts", "host")},
    "a newer version": put("version", 999),
    "an unknown field": put("more", 1),
    "an unknown stage": put("stage", "evil"),
    "wall_s NaN": put("wall_s", float("nan")),
    "wall_s negative": put("wall_s", -1),
    "wall_s infinite": put("wall_s", float("inf")),
    "wall_s beyond the calendar": put("wall_s", 1e300),
    "started in the last year": put("started", "9999-12-31T23:59:59Z"),
    "started a word": put("started", "yesterday"),
    "started a year 99999": put("started", "99999-01-01T00:00:00Z"),
    "a hash of 3 digits": edit(
        lambda known: {
            **known,
            "outputs": {n: {**f, "sha256": "abc"} for n, f in known["outputs"].items()},
        }
    ),
    "an output outside": _outputs("../../../../../../../../../etc/hostname"),
    "an absolute output": _outputs("/etc/hostname"),
    "an output of 300 letters": _outputs("n" * 300),
    "an output with a NUL": _outputs("a\0b"),
    "an output of control characters": _outputs("\x1b[2J\x07evil"),
    "an input outside": _inputs("../../../../../../../../../etc/hostname"),
    "an absolute input": _inputs("/etc/hostname"),
    "an endless input": _inputs("../../../../../../../../../dev/zero"),
    "it has read what it made": _itself,
    "facts empty": put("facts", {}),
    "run empty": put("run", {}),
}
