"""The JSON object of `--settings`, one reader for all stages."""

import json
from typing import Any

from sista.errors import UserError

# Letters of what was typed that an error repeats.
MOST_SHOWN = 200


def read_settings(text: str) -> dict[str, Any]:
    """Return the settings of a command line by name; each is named once, as in a grid.

    Raises:
        UserError: not JSON, not an object, or a name stands twice.
    """
    shown = text[:MOST_SHOWN]
    try:
        given = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings: not valid JSON ({error.msg}): {shown}") from error
    except RecursionError as error:
        raise UserError(
            f"--settings: nested too deeply: {shown[:40]}...; give settings by name"
        ) from error
    if not isinstance(given, dict):
        raise UserError(f'--settings: must be a JSON object, such as {{"width": 8}}, not {shown}')
    return given


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of JSON; of a name that stands twice Python would take the last value."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--settings: {name!r} stands twice; name it once")
    return dict(pairs)
