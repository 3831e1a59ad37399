"""One job of `adapt`: an encoder, a data set and a head; what its heads share, opened once."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sista import registry, tables
from sista.adaptation.settings import Changes
from sista.errors import UserError
from sista.grid.grid import UNTRAINED_FRACTIONS
from sista.protocols._base import Protocol, Settings
from sista.runs import provenance

if TYPE_CHECKING:
    import torch

    from sista.adaptation.task import HeadTask
    from sista.encoders.image import ImageEncoder

FROM_ENCODER = "variant method settings settings_hash family corpus budget seed".split()
# Predictions of one head, or None and the reason why there are none.
Outcome = tuple[pd.DataFrame | None, str | None]


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
        found: dict[str, tuple[int, ...]] | None = registry.constant(
            "heads", self.head, "LEVELS", None
        )
        return found

    def settings(self, fraction: int, budget: str) -> Settings:
        """Return the protocol's settings within the encoder's budget, with the changes."""
        chosen = self.rules.settings_for(self.task, self.head, self.dataset, fraction, budget)
        head = {**chosen.head.get(self.head, {}), **self.changes.head}
        return replace(chosen, **self.changes.training, head={**chosen.head, self.head: head})

    def zoom(self, budget: str) -> float:
        """Return the zoom of all heads: they share the images.

        Raises:
            UserError: the protocol names several.
        """
        zooms = {self.settings(fraction, budget).zoom for _, fraction in self.cells}
        if len(zooms) > 1:
            raise UserError(
                f"protocol {self.rules.word}: {self.head} has another zoom at another label "
                f"fraction ({', '.join(map(str, sorted(zooms)))}); ask for one fraction at a time"
            )
        return zooms.pop()

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
        for name, place, there in (("draws", 0, draws), ("fractions", 1, fractions)):
            wrong = sorted({cell[place] for cell in self.cells} - set(there))
            if wrong or not self.cells:
                why = " (it is not trained)" if untrained else f" of {self.split}"
                raise UserError(
                    f"--{name} {' '.join(map(str, wrong))}: {self.head}{why} has {name} "
                    f"{', '.join(map(str, there))}"
                )


@dataclass
class Job:
    """Everything that is shared by the heads of one job.

    Attributes:
        asked: what it is asked for.
        task: the data set as the head sees it.
        encoder: in eval mode, on the device.
        rows: positions by (subset, draw, fraction).
        refused: reasons of the split by (draw, fraction).
        run: identity and circumstances, for records and scores.
        device: to compute on.
    """

    asked: Asked
    task: "HeadTask"
    encoder: "ImageEncoder"
    rows: Mapping[tuple[str, int, int], Sequence[int]]
    refused: Mapping[tuple[int, int], str]
    run: dict[str, Any]
    device: "torch.device"

    @property
    def predicted(self) -> tuple[tuple[str, Sequence[int]], ...]:
        """The subsets that are predicted, with their rows."""
        return tuple((s, self.rows.get((s, -1, -1), ())) for s in ("val", "test"))

    def settings(self, fraction: int) -> Settings:
        """Return the settings of a head at this label fraction."""
        return self.asked.settings(fraction, str(self.run["budget"]))

    def resolved(self, fraction: int) -> dict[str, Any]:
        """Return what decided a head, and nothing that did not: for the record."""
        settings = self.settings(fraction)
        known = asdict(settings)
        without = settings.without_effect(known, self.asked.adapts)
        known = {name: value for name, value in known.items() if name not in without}
        return known | {"head": {self.asked.head: settings.head.get(self.asked.head, {})}}

    def adapt(self, draw: int, fraction: int, folder: Path) -> Outcome:
        """Make one head and return its predictions, or None and the reason of the refusal."""
        way = import_module(f"sista.adaptation.{self.asked.adapts}")
        outcome: Outcome = way.adapt(self, draw, fraction, folder / f"draw{draw}_{fraction}")
        return outcome

    def training_rows(self, draw: int, fraction: int) -> tuple[Sequence[int], str | None]:
        """Return the rows that a head is trained on, or the reason why it cannot be."""
        rows = self.rows.get(("train", draw, fraction), ())
        return rows, self.refused.get((draw, fraction)) or self.task.refusal(rows)

    def predict(self, model: Any) -> pd.DataFrame:
        """Return a head's predictions of the validation and test images."""
        parts = [self.task.predictions(model, rows).assign(subset=s) for s, rows in self.predicted]
        return pd.concat(parts, ignore_index=True)


def head_seed(draw: int, fraction: int) -> int:
    """Return the seed of the head that is trained on this subset of the labels."""
    return 1000 * draw + fraction


def open_job(asked: Asked) -> Job:
    """Read encoder, manifest and split, and encode the images where the head takes features."""
    device = _start_torch(asked.threads, asked.device)
    from sista.encoders.checkpoint import load_image_encoder
    from sista.openmmlab.loading import load_mmengine

    # Before the heads import it: without its optional extras.
    load_mmengine()
    encoder, made = load_image_encoder(asked.encoder)
    if asked.levels is not None and encoder.family not in asked.levels:
        fits = ", ".join(asked.levels)
        raise UserError(f"head {asked.head} is for {fits}, not for {encoder.family} encoders")
    encoder.to(device).requires_grad_(False)
    frame, meta = tables.read(asked.manifest, "manifest")
    split, split_meta = tables.read(asked.split, "split")
    asked.check_cells(split_meta)
    module = import_module(f"sista.adaptation.{asked.task}")
    task_class = getattr(module, f"{asked.task.capitalize()}Task")
    used = frame[task_class.annotated(frame, meta) & frame["image_id"].isin(split["image_id"])]
    if used.empty:
        raise UserError(f"{asked.manifest}: no image of {asked.dataset} is fit for {asked.task}")
    used = used.sort_values("row").reset_index(drop=True)
    size = asked.rules.image_size or encoder.size
    zoom = asked.zoom(str(made["budget"]))
    task = task_class(used, meta, size, zoom, asked.rules.options_for(asked.dataset))
    task.manifest = asked.manifest
    run = {name: made[name] for name in FROM_ENCODER}
    run |= {"encoder": made["word"], "dataset": asked.dataset, "release": str(meta["release"])}
    run |= {"split_hash": split_meta["hash"], "protocol": asked.rules.word, "head": asked.head}
    run |= {"task": asked.task, "adapts": asked.adapts, "settings_adapt": asked.changes.given}
    run |= {"code_version": provenance.code_version(), "lock_hash": provenance.lock_hash()}
    run |= {"threads": asked.threads, "device": device.type, "image_size": size}
    refused = {(r["draw"], r["fraction"]): str(r["reason"]) for r in split_meta["refused"]}
    job = Job(asked, task, encoder, _positions(used, split), refused, run, device)
    if asked.levels is not None:
        way = import_module(f"sista.adaptation.{asked.adapts}")
        task.features = way.features(job, asked.levels[encoder.family], zoom)
    return job


def _start_torch(threads: int, device: str) -> "torch.device":
    """Set threads and determinism; return the device."""
    import torch

    torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    # A few CUDA kernels (bilinear upsampling) have no deterministic form: warn, do not fail.
    # `use_deterministic_algorithms` would import the compiler, which costs a second.
    torch.set_deterministic_debug_mode("error" if device == "cpu" else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device(device)


def _positions(used: pd.DataFrame, split: pd.DataFrame) -> dict[tuple[str, int, int], list[int]]:
    """Return positions in `used` of each (subset, draw, fraction), in the order of `used`."""
    position = {name: n for n, name in enumerate(used["image_id"])}
    rows: dict[tuple[str, int, int], list[int]] = {}
    columns = (split[name].tolist() for name in ("subset", "draw", "fraction", "image_id"))
    for subset, draw, fraction, name in zip(*columns, strict=True):
        if name in position:
            rows.setdefault((subset, draw, fraction), []).append(position[name])
    return {key: sorted(positions) for key, positions in rows.items()}
