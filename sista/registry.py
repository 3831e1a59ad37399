"""A file is its own registration: `sista/methods/clip.py` is the method `clip`.

Names, settings and constants are read from the source text, so planning needs no torch.
"""

import ast
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sista.errors import UserError, check_range, shown, usual_range

PACKAGE = Path(__file__).resolve().parent
# A constant that a file must define.
REQUIRED: Any = object()
KINDS = ("datasets", "methods", "tasks", "heads", "protocols", "importers")


@dataclass(frozen=True)
class Setting:
    """One keyword of a method's or head's signature."""

    name: str
    annotation: str
    default: Any


def names(kind: str) -> list[str]:
    """Return the words of `kind` (a folder of the package), sorted."""
    return sorted(p.stem for p in (PACKAGE / kind).glob("*.py") if not p.stem.startswith("_"))


def path(kind: str, name: str) -> Path:
    """Return the file of a word; an unknown word is answered with the valid ones."""
    if name not in names(kind):
        raise UserError(f"unknown {kind[:-1]} {name!r}; valid: {', '.join(names(kind))}")
    return PACKAGE / kind / f"{name}.py"


def find(kind: str, name: str) -> Any:
    """Import the word's file and return the object that has the file's name."""
    file = path(kind, name)
    module = importlib.import_module(f"sista.{kind}.{name}")
    if not hasattr(module, name):
        raise UserError(f"{file}: must define {name!r}, the object named as the file")
    return getattr(module, name)


def constant(kind: str, name: str, key: str, default: Any = REQUIRED) -> Any:
    """Return a module constant without importing the module.

    Raises:
        UserError: the file has no such constant, and there is no default.
    """
    file = path(kind, name)
    if (value := _assigned(file, key)) is not None:
        return _written_out(file, key, value)
    if default is REQUIRED:
        raise UserError(f"{file}: needs the constant {key}")
    return default


def _assigned(file: Path, name: str) -> ast.expr | None:
    """Return what a module assigns to a name, or None."""
    for node in _tree(file).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return node.value
    return None


def _written_out(file: Path, key: str, value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError as error:
        # It is read without running the file, so nothing may be computed in it.
        where = f"{file}:{value.lineno}"
        raise UserError(f"{where}: {key} must be written out, not computed") from error


def settings(kind: str, name: str) -> dict[str, Setting]:
    """Return the settings of a word: the keyword-only arguments of its function.

    A function of `**settings` has the fields of the class `Settings` that its file defines or
    imports from the package. `WORD = OTHER` has the settings of the word OTHER.
    """
    file = path(kind, name)
    if isinstance(other := _assigned(file, name), ast.Name):
        return settings(kind, other.id)
    for node in _tree(file).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            if node.args.kwarg is not None:
                return fields_of(file)
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return {arg.arg: _setting(file, arg, default) for arg, default in pairs}
    return {}


def settings_file(file: Path) -> Path:
    """Return the file that documents the settings of a word's file: its own or an imported one."""
    for node in _tree(file).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            source = _file(node.module)
            if source and any(alias.name == "Settings" for alias in node.names):
                return source
    return file


def fields_of(file: Path) -> dict[str, Setting]:
    """Return the annotated fields of the class `Settings` that a file defines or imports."""
    source = settings_file(file)
    for node in _tree(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "Settings":
            return {
                field.target.id: Setting(
                    field.target.id,
                    ast.unparse(_spelt_out(source, field.annotation)),
                    _literal(field.value),
                )
                for field in node.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            }
    return {}


def _literal(value: ast.expr | None) -> Any:
    """Return a default that is written out; None for none, or one that is computed."""
    try:
        return ast.literal_eval(value) if value else None
    except ValueError:
        return None


def _setting(file: Path, arg: ast.arg, default: ast.expr | None) -> Setting:
    annotation = ast.unparse(_spelt_out(file, arg.annotation)) if arg.annotation else "Any"
    return Setting(arg.arg, annotation, ast.literal_eval(default) if default else None)


def _spelt_out(file: Path, annotation: ast.expr) -> ast.expr:
    """Return an annotation with the definition of an alias (`Mode = Literal[...]`) in its place."""
    if isinstance(annotation, ast.BinOp):
        left, right = (_spelt_out(file, side) for side in (annotation.left, annotation.right))
        return ast.BinOp(left, annotation.op, right)
    if not isinstance(annotation, ast.Name):
        return annotation
    if (definition := _assigned(file, annotation.id)) is not None:
        return _spelt_out(file, definition)
    for node in _tree(file).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            source = _file(node.module)
            for alias in node.names:
                if source and annotation.id == (alias.asname or alias.name):
                    return _spelt_out(source, ast.Name(alias.name, ast.Load()))
    return annotation


def check_settings(kind: str, name: str, given: Mapping[str, Any]) -> None:
    """Check the changed settings of a word, without importing it.

    A setting that cannot act beside the others is refused, since a record would name what did not
    happen. Which ones these are, a file says in a constant `ACTS`: settings, separated by spaces,
    → what one of them needs: alternatives separated by `or`, each of conditions joined by `&`:
    `other` (is not 0, False, None or ""), `other=value` or `other!=value`. A setting that several
    entries name needs all of them. The smallest and the largest value that a setting may have stand
    in a constant `RANGES`, as far as they do not depend on others.

    Args:
        kind: folder of the package.
        name: word.
        given: settings that a user named.

    Raises:
        UserError: a setting is unknown, of another type, out of range, missing or without effect.
    """
    known, ranges = settings(kind, name), constant(kind, name, "RANGES", {})
    for key, setting in known.items():
        # A text without a default, such as a path: there is no run without it.
        if setting.annotation == "str" and not setting.default and not given.get(key):
            raise UserError(f"{name} needs the setting {key!r}")
    for key, value in given.items():
        if key not in known:
            valid = ", ".join(known) or "none"
            raise UserError(f"{name} has no setting {key!r}; valid: {valid}")
        wrong = check_setting(known[key], value)
        if wrong:
            raise UserError(f"{name}: {wrong}")
        if isinstance(value, int | float) or key in ranges:
            check_range(f"{name}: {key}", value, *ranges.get(key, usual_range(key)))
    resolved = {key: given.get(key, setting.default) for key, setting in known.items()}
    weights = [key for key in known if key.startswith("w_")]
    if len(weights) > 1 and not any(resolved[key] for key in weights):
        raise UserError(f"{name}: {', '.join(weights)} are all 0, so there is nothing to train")
    for key in given:
        needs = _lacks(kind, name, key, resolved)
        if needs and resolved[key] != known[key].default:
            raise UserError(
                f"{name}: {key}={resolved[key]!r} has no effect beside the other settings; "
                f"it acts only with {needs}"
            )


def _lacks(kind: str, name: str, key: str, resolved: Mapping[str, Any]) -> str | None:
    """Return what a setting needs to act and does not have, in words, or None."""
    acts: dict[str, str] = constant(kind, name, "ACTS", {})
    for group, needs in acts.items():
        ways = [way.split(" & ") for way in needs.split(" or ")]
        if key in group.split() and not any(
            all(_holds(condition, resolved) for condition in way) for way in ways
        ):
            return needs.replace(" & ", " and ").replace("!=", " other than ").replace("=", ": ")
    return None


def _holds(condition: str, resolved: Mapping[str, Any]) -> bool:
    key, equal, text = condition.partition("=")
    if not equal:
        return bool(resolved[key])
    try:
        value = ast.literal_eval(text)
    except ValueError:
        # A word, such as one of a Literal.
        value = text
    return bool(resolved[key.rstrip("!")] == value) != key.endswith("!")


def check_setting(setting: Setting, value: Any) -> str | None:
    """Return what is wrong with a value for this setting, or None."""
    allowed: list[Any] = []
    for part in ast.walk(ast.parse(setting.annotation, mode="eval")):
        if isinstance(part, ast.Subscript) and ast.unparse(part.value) == "Literal":
            words = ast.literal_eval(part.slice)
            allowed += words if isinstance(words, tuple) else [words]
    types = {"bool": bool, "int": int, "float": (int, float), "str": str, "None": type(None)}
    plain: list[Any] = [
        types[t.strip()] for t in setting.annotation.split("|") if t.strip() in types
    ]
    if value in allowed or (not allowed and not plain):
        return None
    # A whole number may be too large for a float.
    if isinstance(value, float | int) and not abs(value) <= sys.float_info.max:
        return f"{setting.name}={shown(value, 20)}: expected a finite number"
    for kind in plain:
        if isinstance(value, kind) and (not isinstance(value, bool) or kind is bool):
            return None
    return f"{setting.name}={shown(value)}: expected {setting.annotation}"


def sources(kind: str, name: str) -> list[str]:
    """Return the word's file and all files of the package it imports, directly or not."""
    return module_sources(f"sista.{kind}.{name}", path(kind, name))


def module_sources(module: str, file: Path | None = None) -> list[str]:
    """Return the import closure of a module inside the package, as sorted posix paths.

    The paths are relative to the folder that holds the package. An `__init__.py` only re-exports,
    so it is not followed: importing `sista.losses.sia` does not depend on every other loss.
    """
    start = file or _file(module)
    if start is None:
        raise UserError(f"no module {module}")
    seen: set[Path] = set()
    queue = [start]
    while queue:
        current = queue.pop()
        if current not in seen:
            seen.add(current)
            queue += [f for m in _imports(current) if (f := _file(m)) is not None]
    return sorted(p.relative_to(PACKAGE.parent).as_posix() for p in seen)


@cache
def _tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text())
    except SyntaxError as error:
        raise UserError(f"{file}:{error.lineno}: {error.msg}") from error


@cache
def _imports(file: Path) -> frozenset[str]:
    """Return the names of modules of the package that a file imports, at any depth of nesting."""
    modules: set[str] = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in modules if name.startswith("sista."))


@cache
def _file(module: str) -> Path | None:
    file = PACKAGE.parent / (module.replace(".", "/") + ".py")
    return file if file.is_file() else None
