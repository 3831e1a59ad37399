"""Settings of a head that differ from its protocol's: checked by name, type, range and effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sista import registry
from sista.errors import UserError
from sista.protocols import _base
from sista.runs.json_settings import read_settings

if TYPE_CHECKING:
    from sista.encoders.image import ImageEncoder

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

    def refuse(self, without: Mapping[str, str]) -> None:
        """Refuse changes that would be recorded and change nothing.

        Args:
            without: settings without effect, and why.

        Raises:
            UserError: names the setting and why it has no effect.
        """
        for name in self.given:
            if name in without:
                raise UserError(f"--settings: {name} would change nothing: {without[name]}")


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
        UserError: not an object, an unknown or repeated name, or a value of another type; names the
            valid ones.
    """
    given = read_settings(text)
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


def without_effect(settings: _base.Settings, head: str) -> dict[str, str]:
    """Return which settings of training change nothing, and why.

    Args:
        settings: with the changes.
        head: word of the head.
    """
    adapts = str(registry.constant("heads", head, "ADAPTS"))
    reasons = settings.without_effect(training_settings(), adapts)
    if registry.constant("heads", head, "LEVELS", None) is None:
        reasons["zoom"] = "the head takes images as pre-training did"
    return reasons


def of_encoder(encoder: "ImageEncoder", head: str) -> dict[str, str]:
    """Return which settings of training and head change nothing on this encoder, and why.

    Args:
        encoder: image encoder.
        head: word of the head. Its constant `FAMILIES` names the family of encoders that a setting
            is for, where it is for one alone.
    """
    reasons = {}
    for name, family in registry.constant("heads", head, "FAMILIES", {}).items():
        if family != encoder.family:
            reasons[name] = f"it is for {family} encoders, and {encoder.word} is a {encoder.family}"
    if not encoder.has_batch_norms:
        reasons["batch_norms"] = f"encoder {encoder.word} has no batch norm"
    return reasons


def check_monitor(settings: _base.Settings, head: str) -> None:
    """Refuse a monitor that the head's task does not have.

    Args:
        settings: with the changes.
        head: word of the head.

    Raises:
        UserError: names the valid ones.
    """
    monitors = ("loss", *registry.constant("heads", head, "MONITORS", ()))
    if settings.monitor not in monitors:
        valid = ", ".join(monitors)
        raise UserError(f"{head}: cannot stop by monitor {settings.monitor!r}; valid: {valid}")
