"""The command line at its limits: every option of every verb, read from the verbs' signatures."""

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sista import __main__ as command

LONG = "n" * 300
INTEGERS = {
    "a word": "x",
    "empty": "",
    "a fraction": "1.5",
    "NaN": "nan",
    "negative": "-7",
    "2^63": str(2**63),
    "1,000 digits": "9" * 1000,
    "full-width": "１",
}
# Which integers may be 0 or huge is a matter of the option; every word of the project has a range.
FLOATS = {
    "a word": "x",
    "empty": "",
    "NaN": "nan",
    "infinity": "inf",
    "negative": "-1",
    "1e999": "1e999",
}
TEXTS = {
    "empty": "",
    "unknown": "no_such_word",
    "a path out": "../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "a shell word": "$(touch CANARY)",
    "300 letters": LONG,
    "control characters": "\x1b[2J\x07",
    "a module": "os",
    "a private file": "_base",
    "an umlaut": "ö",
    "a surrogate": "\udce4",
}
# What an input path may be; files that are there but bad are cases of their format.
INPUTS = {
    "missing": "no/such/file",
    "a name of 300 letters": LONG,
    "a path of 5,000 letters": "a/" * 2500,
    "empty": "",
    "below a file": "suite.yaml/x",
    "an endless device": "/dev/zero",
    "a null device": "/dev/null",
    "the folder of processes": "/proc/self",
    "a surrogate": "\udce4",
}
OUTPUTS = {
    "a name of 300 letters": f"out/{LONG}.parquet",
    "below a file": "suite.yaml/x.parquet",
    "a full device": "/dev/full",
    "empty": "",
    "a folder that is there": "raw",
    "a surrogate": "out/\udce4.parquet",
}
JSONS = {
    "no JSON": "{",
    "a list": "[1]",
    "null": "null",
    "nested deeply": "[" * 100_000,
    "an unknown setting": '{"no_such_setting": 1}',
    "a setting of null": '{"lr": null}',
    "a key twice": '{"lr": 1, "lr": 2}',
    "NaN": '{"lr": NaN}',
}


def functions() -> dict[str, Callable[..., Any]]:
    """Return the function of every verb."""
    named = [*command._VERBS, *command._RELEASES, *command._LOOKS, *command._SHARE]
    places = {name: place for name, place, _ in named}
    places |= {f"audit {name}": place for name, place, _ in command._AUDITS}
    found = {}
    for verb, place in places.items():
        module, _, name = place.partition(":")
        found[verb] = getattr(importlib.import_module(f"sista.{module}"), name)
    return found


def values(name: str, kind: Any, outputs: tuple[str, ...]) -> dict[str, str]:
    """Return bad values of an option, by kind."""
    if name == "settings":
        return JSONS
    if name in outputs:
        return OUTPUTS
    kinds = set(_plain(kind))
    if bool in kinds:
        return {"a word": "maybe"}
    if int in kinds:
        return INTEGERS
    if float in kinds:
        return FLOATS
    return INPUTS if Path in kinds else TEXTS


def _plain(kind: Any) -> Iterator[Any]:
    """Yield the types inside unions, lists and annotations."""
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        yield str
    elif origin in (typing.Union, types.UnionType, list, tuple, typing.Annotated):
        for each in typing.get_args(kind):
            yield from _plain(each)
    else:
        yield kind


def options(function: Callable[..., Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield name, type and "is given by place" of each option."""
    signature = inspect.signature(function, eval_str=True)
    for name, parameter in signature.parameters.items():
        yield name, parameter.annotation, parameter.kind is parameter.POSITIONAL_OR_KEYWORD
