"""One job of `adapt`: an encoder, a data set and a head; what its heads share, opened once."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sista import registry, tables
from sista.adaptation.asked import Asked
from sista.adaptation.resplit import resplit
from sista.adaptation.settings import of_encoder, without_effect
from sista.engine.machine import check_machine, find_device
from sista.errors import UserError
from sista.preparation.foreign import check_prepared
from sista.protocols._base import Settings
from sista.runs import provenance
from sista.runs.container import check_container

if TYPE_CHECKING:
    import torch

    from sista.adaptation.task import HeadTask
    from sista.encoders.image import ImageEncoder

FROM_ENCODER = "variant method settings settings_hash family corpus budget seed".split()
# Predictions of one head, or None and the reason why there are none.
Outcome = tuple[pd.DataFrame | None, str | None]


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
        return self.asked.settings(fraction)

    def head_options(self, fraction: int) -> dict[str, Any]:
        """Return all keywords of the head's function: its own, the protocol's, the data's."""
        own = registry.settings("heads", self.asked.head)
        chosen = self.settings(fraction).head[self.asked.head]
        defaults = {name: setting.default for name, setting in own.items()}
        return {**defaults, **chosen, **self.task.head_options()}

    def resolved(self, fraction: int) -> dict[str, Any]:
        """Return what decided a head, and nothing that did not: for the record."""
        settings, head = self.settings(fraction), self.asked.head
        without = {*without_effect(settings, head), *of_encoder(self.encoder, head), "head"}
        training, own = asdict(settings), self.head_options(fraction)
        training = {name: value for name, value in training.items() if name not in without}
        own = {name: value for name, value in own.items() if name not in without}
        return training | {"head": {head: own}}

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
    # A fraction is at most 100, so no two heads of a job share a seed.
    return 1000 * draw + fraction


def open_job(asked: Asked) -> Job:
    """Read encoder, manifest and split, and encode the images where the head takes features.

    Raises:
        UserError: files, words and settings do not fit each other; names the remedy.
    """
    device = _start_torch(asked.threads, asked.device)
    from sista.encoders.checkpoint import load_image_encoder
    from sista.openmmlab.loading import load_mmengine

    # Before the heads import it: without its optional extras.
    load_mmengine()
    encoder, metadata = load_image_encoder(asked.encoder)
    _check_encoder(asked, encoder, str(metadata["budget"]))
    encoder.to(device).requires_grad_(False)
    frame, meta = tables.read(asked.manifest, "manifest")
    if meta.get("dataset") != asked.dataset:
        raise UserError(
            f"{asked.manifest}: is of data set {meta.get('dataset')}, asked for {asked.dataset}; "
            "give the manifest of that data set, or its word with --dataset"
        )
    container = asked.manifest.with_suffix(".images.npy")
    check_container(container, len(frame), int(meta["prepared_size"]))
    split, split_meta = _split(asked, frame, meta)
    used, task = _task(asked, encoder, frame, meta, split)
    size, zoom = task.size, task.zoom
    run = {name: metadata[name] for name in FROM_ENCODER}
    # Of a training that can tell; a control has none.
    run |= {"plateau": metadata.get("plateau")}
    run |= {"encoder": metadata["word"], "dataset": asked.dataset, "release": str(meta["release"])}
    run |= {"split_hash": split_meta["hash"], "protocol": asked.rules.word, "head": asked.head}
    run |= {"task": asked.task, "adapts": asked.adapts, "settings_adapt": asked.changes.given}
    run |= {"code_version": provenance.code_version(), "lock_hash": provenance.lock_hash()}
    run |= {"threads": asked.threads, "device": device.type, "image_size": size}
    refused = {(r["draw"], r["fraction"]): str(r["reason"]) for r in split_meta["refused"]}
    rows = _positions(used, split)
    asked.check_lengths(max(len(rows.get(("train", *cell), ())) for cell in asked.cells))
    job = Job(asked, task, encoder, rows, refused, run, device)
    if asked.levels is not None:
        way = import_module(f"sista.adaptation.{asked.adapts}")
        task.features = way.features(job, asked.levels[encoder.family], zoom)
    return job


def _split(
    asked: Asked, frame: pd.DataFrame, meta: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the split of the file, or the one that the protocol makes of it."""
    split, split_meta = tables.read(asked.split, "split")
    others = sorted({*split["dataset"]} - {asked.dataset})
    if others:
        raise UserError(
            f"{asked.split}: is of data set {others[0]}, asked for {asked.dataset}; give the split "
            "of that data set with --split"
        )
    asked.check_cells(split_meta)
    check_prepared(asked.manifest, asked.split, frame, meta, split, split_meta)
    rule = asked.rules.split_rule(asked.task, asked.dataset)
    if rule is None:
        return split, split_meta
    made = resplit(frame, meta, split, split_meta, rule)
    return made.frame, made.meta


def _check_encoder(asked: Asked, encoder: "ImageEncoder", budget: str) -> None:
    """Refuse an encoder of another budget or family, and settings that mean nothing to it."""
    if budget != asked.budget:
        raise UserError(
            f"{asked.encoder}: has budget {budget!r}, asked for {asked.budget!r}; give the encoder "
            "of that budget, or --budget"
        )
    if asked.levels is not None and encoder.family not in asked.levels:
        fits = ", ".join(asked.levels)
        raise UserError(f"head {asked.head} is for {fits}, not for {encoder.family} encoders")
    asked.changes.refuse(of_encoder(encoder, asked.head))


def _task(
    asked: Asked,
    encoder: "ImageEncoder",
    frame: pd.DataFrame,
    meta: dict[str, Any],
    split: pd.DataFrame,
) -> "tuple[pd.DataFrame, HeadTask]":
    """Return the images that are used, and the data set as the head sees it."""
    from sista.engine.views import CROP

    module = import_module(f"sista.adaptation.{asked.task}")
    task_class = getattr(module, f"{asked.task.capitalize()}Task")
    used = frame[task_class.annotated(frame, meta) & frame["image_id"].isin(split["image_id"])]
    if used.empty:
        raise UserError(f"{asked.manifest}: no image of {asked.dataset} is fit for {asked.task}")
    used = used.sort_values("row").reset_index(drop=True)
    # A head that takes no features sees the films as pre-training did, whatever the protocol.
    size, zoom = encoder.size, 1 / CROP
    if asked.levels is not None:
        size, zoom = asked.rules.image_size or encoder.size, asked.zoom
        asked.check_zoom(size)
    task = task_class(used, meta, size, zoom, asked.rules.options_for(asked.dataset))
    decided = {name: f"the data decide it ({value})" for name, value in task.head_options().items()}
    asked.changes.refuse(decided)
    task.manifest = asked.manifest
    for path in (asked.manifest.with_suffix(".images.npy"), *task.read):
        if not path.is_file():
            raise UserError(f"{path}: no such file; run prepare again")
    return used, task


def _start_torch(threads: int, device: str) -> "torch.device":
    """Set threads and determinism; return the device."""
    check_machine(device, threads)
    import torch

    torch.set_num_threads(threads)
    chosen = find_device(device)
    # A few CUDA kernels (bilinear upsampling) have no deterministic form: warn, do not fail.
    # `use_deterministic_algorithms` would import the compiler, which costs a second.
    torch.set_deterministic_debug_mode("error" if chosen.type == "cpu" else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return chosen


def _positions(used: pd.DataFrame, split: pd.DataFrame) -> dict[tuple[str, int, int], list[int]]:
    """Return positions in `used` of each (subset, draw, fraction), in the order of `used`."""
    position = {name: n for n, name in enumerate(used["image_id"])}
    rows: dict[tuple[str, int, int], list[int]] = {}
    columns = (split[name].tolist() for name in ("subset", "draw", "fraction", "image_id"))
    for subset, draw, fraction, name in zip(*columns, strict=True):
        if name in position:
            rows.setdefault((subset, draw, fraction), []).append(position[name])
    return {key: sorted(positions) for key, positions in rows.items()}
