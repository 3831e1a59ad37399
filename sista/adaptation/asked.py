"""What a job of `adapt` is asked for: words, files, settings; what is refused before it starts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sista import registry
from sista.adaptation.settings import Changes, check_monitor, without_effect
from sista.errors import UserError
from sista.grid.grid import UNTRAINED_FRACTIONS
from sista.protocols._base import Protocol, Settings


@dataclass(frozen=True)
class Asked:
    """What a job is asked for; see `sista adapt --help`.

    Attributes:
        rules: the protocol.
        dataset: reference of the data set.
        head: word of the head.
        manifest: of the data set, with images and regions beside it.
        split: of the data set.
        encoder: checkpoint.
        cells: (draw, fraction) of each head.
        changes: settings that differ from the protocol's.
        scratch: folder for files of an unfinished job.
        threads: to compute with.
        device: auto, cpu or cuda.
        budget: of the encoder.
    """

    rules: Protocol
    dataset: str
    head: str
    manifest: Path
    split: Path
    encoder: Path
    cells: tuple[tuple[int, int], ...]
    changes: Changes
    scratch: Path
    threads: int
    device: str
    budget: str

    @property
    def task(self) -> str:
        """Word of the head's task."""
        return str(registry.constant("heads", self.head, "TASK"))

    @property
    def adapts(self) -> str:
        """How the head adapts: frozen, tuned or untrained."""
        return str(registry.constant("heads", self.head, "ADAPTS"))

    @property
    def levels(self) -> dict[str, tuple[int, ...]] | None:
        """Feature maps that the head takes, by encoder family; None = it takes no features."""
        levels: dict[str, tuple[int, ...]] | None = registry.constant(
            "heads", self.head, "LEVELS", None
        )
        return levels

    def settings(self, fraction: int) -> Settings:
        """Return the protocol's settings within the encoder's budget, with the changes."""
        chosen = self.rules.settings_for(self.task, self.head, self.dataset, fraction, self.budget)
        head = {**chosen.head.get(self.head, {}), **self.changes.head}
        return replace(chosen, **self.changes.training, head={**chosen.head, self.head: head})

    @property
    def zoom(self) -> float:
        """Return the zoom of all heads: they share the images.

        Raises:
            UserError: the protocol names several.
        """
        zooms = {self.settings(fraction).zoom for _, fraction in self.cells}
        if len(zooms) > 1:
            raise UserError(
                f"protocol {self.rules.word}: {self.head} has another zoom at another label "
                f"fraction ({', '.join(map(str, sorted(zooms)))}); ask for one fraction at a time"
            )
        return zooms.pop()

    def check_settings(self) -> None:
        """Refuse settings that are out of range or without effect, before anything is read.

        Raises:
            UserError: names the setting and why.
        """
        for _, fraction in self.cells:
            settings = self.settings(fraction)
            registry.check_settings("heads", self.head, settings.head[self.head])
            self.changes.refuse(without_effect(settings, self.head))
            check_monitor(settings, self.head)

    def check_zoom(self, size: int) -> None:
        """Refuse a changed zoom that rounds to the pixels of the protocol's own.

        Args:
            size: side of the network's image in pixels.

        Raises:
            UserError: names both.
        """
        own, given = replace(self, changes=Changes({}, {})).zoom, self.zoom
        if own != given and round(size * own) == round(size * given):
            why = f"at {size} px it is the protocol's {own:.6g}"
            self.changes.refuse({"zoom": why})

    def check_lengths(self, images: int) -> None:
        """Refuse a changed batch or limit of steps that no epoch reaches, or a last batch it lacks.

        Args:
            images: of the largest training set.

        Raises:
            UserError: names what an epoch has.
        """
        settings = self.settings(self.cells[0][1])
        if self.adapts == "untrained" or settings.iterations is not None or not images:
            return
        steps, without = math.ceil(images / settings.batch), {}
        if settings.batch > images:
            without["batch"] = f"the largest training set has {images} images"
        if settings.drop_last and settings.batch >= images:
            without["drop_last"] = f"an epoch is one batch of {images} images"
        if settings.most_steps >= steps:
            without["most_steps"] = f"an epoch has {steps} steps at most"
        self.changes.refuse(without)

    def check_cells(self, split: Mapping[str, Any]) -> None:
        """Refuse draws and label fractions that the split or the head does not have.

        Args:
            split: metadata of the split.

        Raises:
            UserError: names what there is.
        """
        untrained = self.adapts == "untrained"
        fractions = UNTRAINED_FRACTIONS if untrained else tuple(split["fractions"])
        draws = (0,) if untrained else tuple(range(int(split["draws"])))
        for name, side, there in (("draws", 0, draws), ("fractions", 1, fractions)):
            wrong = sorted({cell[side] for cell in self.cells} - set(there))
            if wrong or not self.cells:
                why = " (it is not trained)" if untrained else f" of {self.split}"
                raise UserError(
                    f"--{name}: {' '.join(map(str, wrong)) or 'none named'}: {self.head}{why} has "
                    f"{name} {', '.join(map(str, there))}; name some of these"
                )
        if len(set(self.cells)) < len(self.cells):
            raise UserError("--draws, --fractions: a value stands twice; name it once")
