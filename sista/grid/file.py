"""Grid files: YAML with unique keys, and a `base` whose fields a grid takes over. No torch."""

import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from sista.errors import UserError, check_word, shown
from sista.files import reading

BASE = "base"
# A grid has a few dozen lines; the loader takes a second for so many bytes.
MOST_BYTES, MOST_DEPTH = 2**16, 30


def read_grid(path: Path | str) -> tuple[dict[str, Any], list[Path]]:
    """Return the fields of a grid and the files that they come from, the grid's own first.

    The fields of its base stand where the grid does not name its own; a field is replaced as a
    whole. A base may have a base.

    Args:
        path: of the grid; a base is named relative to the file that names it, and lies in
            the folder of the grid or in the current one.

    Raises:
        UserError: a file is missing, not a YAML mapping, outside of these folders or its name is no
            word, or bases go round in a circle.
    """
    files: list[Path] = []
    values: dict[str, Any] = {}
    current = Path(path)
    roots = [folder.resolve() for folder in (current.parent, Path())]
    while True:
        # Results are named by it.
        check_word(f"{(files or [current])[-1]}: the name of a grid", current.stem)
        read = _mapping(current, files)
        files.append(current)
        values = {**read, **values}
        base = read.get(BASE)
        if base is None:
            break
        if not isinstance(base, str) or not base or "\0" in base:
            raise UserError(f"{current}: base must be the path of a grid, not {shown(base)}")
        current = current.parent / base
        if not any(current.resolve().is_relative_to(root) for root in roots):
            raise UserError(
                f"{files[-1]}: base {shown(base)} lies outside of the grid's folder; correct it"
            )
        if current.resolve() in {file.resolve() for file in files}:
            way = " → ".join(file.as_posix() for file in [*files, current])
            raise UserError(f"{path}: its bases go round in a circle ({way}): remove one")
    values.pop(BASE, None)
    return values, files


def _mapping(path: Path, children: list[Path]) -> dict[str, Any]:
    """Return the fields that stand in one file."""
    asked = f"{children[-1]}: its base {path}" if children else f"{path}"
    # Not of `Path`: those raise where a name is too long.
    if not os.path.exists(path) or os.path.isdir(path):
        there = ", ".join(sorted(p.as_posix() for p in Path("benchmarks").glob("*.yaml")))
        remedy = f"give one of {there}" if there else "give the path of a grid's file"
        raise UserError(f"{asked}: no such grid; {remedy}")
    with reading(path, "correct the grid"):
        if path.stat().st_size > MOST_BYTES:
            raise UserError(
                f"{asked}: more than {MOST_BYTES >> 10} KiB; give a grid, of a few lines"
            )
        text = path.read_text(encoding="utf-8-sig")
        try:
            values = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 (a SafeLoader)
        except yaml.YAMLError as error:
            raise UserError(f"{asked}: not valid YAML: {error}") from error
        except ValueError as error:
            # Numbers of thousands of digits, dates of no calendar.
            raise UserError(f"{asked}: not valid YAML: a value that cannot be read") from error
    if not isinstance(values, dict):
        raise UserError(f"{asked}: not a grid; it must be a mapping such as `budget: tiny`")
    return values


class _PlainLoader(yaml.SafeLoader):
    """A YAML loader that refuses a key given twice (two settings under one path) and aliases.

    A few lines of aliases of aliases mean more values than any machine can hold.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, f"alias *{event.anchor}: write the value out", event.start_mark
            )
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)
