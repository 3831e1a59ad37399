"""Settings of a head that differ from its protocol's: checked by name, type, range and effect."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sista import registry
from sista.errors import UserError
from sista.protocols import _base

# Not settings of the training itself.
APART = ("head",)


@dataclass(frozen=True)
class Changes:
    """Settings as given, and sorted by what they are of.

    Attributes:
        training: fields of the protocol's `Settings`.
        head: keywords of the head's function.
    """

    training: Mapping[str, Any]
    head: Mapping[str, Any]

    @property
    def given(self) -> dict[str, Any]:
        """All of them by name."""
        return {**self.training, **self.head}


def training_settings() -> dict[str, registry.Setting]:
    """Return the settings of training by name."""
    fields = registry.fields_of(Path(_base.__file__))
    return {name: setting for name, setting in fields.items() if name not in APART}


def read_changes(text: str, head: str) -> Changes:
    """Read the JSON object of `--settings`.

    Args:
        text: JSON.
        head: word of the head.

    Raises:
        UserError: not an object, an unknown name, or a value of another type; names the valid ones.
    """
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings: not valid JSON ({error.msg}): {text}") from error
    if not isinstance(given, dict):
        raise UserError(f'--settings: a JSON object is needed, e.g. {{"batch": 8}}, not {text}')
    own, training = registry.settings("heads", head), training_settings()
    for name, value in given.items():
        known = own.get(name) or training.get(name)
        if known is None:
            valid = ", ".join([*sorted(training), *own])
            raise UserError(f"--settings: no setting {name!r}; valid: {valid}")
        wrong = registry.check_setting(known, value)
        if wrong:
            raise UserError(f"--settings: {head}: {wrong}")
    return Changes(
        {name: value for name, value in given.items() if name not in own},
        {name: value for name, value in given.items() if name in own},
    )


def check_effect(changes: Changes, settings: _base.Settings, head: str) -> None:
    """Refuse changes that would be recorded and change nothing.

    Args:
        changes: to the protocol's settings.
        settings: with the changes.
        head: word of the head.

    Raises:
        UserError: names the setting and why it has no effect.
    """
    adapts = str(registry.constant("heads", head, "ADAPTS"))
    without = settings.without_effect(changes.training, adapts)
    if adapts == "untrained" and registry.constant("heads", head, "LEVELS", None) is None:
        without |= {n: "the head takes images as pre-training did" for n in changes.training}
    for name, why in without.items():
        raise UserError(f"--settings: {name} would change nothing: {why}")
    monitors = ("loss", *registry.constant("heads", head, "MONITORS", ()))
    if settings.monitor not in monitors:
        valid = ", ".join(monitors)
        raise UserError(f"{head}: cannot stop by monitor {settings.monitor!r}; valid: {valid}")
