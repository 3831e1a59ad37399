"""Stage adapt: heads on a frozen encoder at all label fractions and draws of one data set."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sista import registry, tables
from sista.adaptation.finished_heads import Parts
from sista.errors import UserError
from sista.protocols._base import Protocol, Settings
from sista.runs import provenance
from sista.runs.progress import track
from sista.runs.record import Made, recorded

if TYPE_CHECKING:
    import torch

    from sista.adaptation.task import HeadTask
    from sista.encoders.image import ImageEncoder

TASK_CLASSES = {
    "classification": "ClassificationTask",
    "segmentation": "SegmentationTask",
    "detection": "DetectionTask",
}
FROM_ENCODER = "variant method settings settings_hash family corpus budget seed".split()


@recorded("adapt")
def adapt(
    *,
    protocol: str,
    dataset: str,
    head: str,
    manifest: Path,
    split: Path,
    encoder: Path,
    out: Path,
    draws: list[int],
    fractions: list[int],
    budget: str = "quick",
    settings: str = "{}",
    threads: int = 1,
    device: str = "auto",
) -> Made:
    """Train a head at each label fraction and draw; predict the validation and test images.

    The frozen encoder sees every image once. A job that was killed goes on with the first head
    that is not finished, and gives the same numbers.

    Args:
        protocol: word of the protocol.
        dataset: reference of the data set, e.g. `rsna_pneumonia@phantom`.
        head: word of the head.
        manifest: the data set's manifest, FILE.parquet, with its images beside it.
        split: the data set's split, FILE.split.parquet.
        encoder: checkpoint of the pre-trained encoder.
        out: predictions to write, with run.json beside them.
        draws: label subsets; also the seed of each head.
        fractions: percent of the training labels.
        budget: pre-training length of the encoder; must be the checkpoint's own.
        settings: JSON object of training settings that differ from the protocol's.
        threads: threads to compute with; part of the result's bits.
        device: auto, cpu or cuda.

    Raises:
        UserError: a word, a file or a setting is wrong; names it and the remedy.
    """
    rules: Protocol = registry.find("protocols", protocol)
    changes = _changes(settings, head)
    job = _open_job(rules, dataset, head, manifest, split, encoder, out, threads, device)
    if job.run["budget"] != budget:
        raise UserError(f"{encoder}: has budget {job.run['budget']!r}, asked for {budget!r}")
    job.run["settings_adapt"] = changes
    parts = Parts(out, job.run, (manifest, split, encoder))
    cells = [(draw, fraction) for draw in draws for fraction in fractions]
    for draw, fraction in track(cells, f"adapt {head}"):
        if not parts.has(draw, fraction):
            begun = time.monotonic()
            frame, reason = job.train(draw, fraction, changes, parts.folder)
            parts.put(draw, fraction, frame, reason, time.monotonic() - begun)
    facts = _write(job, parts, cells, out)
    resolved = {str(f): asdict(job.settings(f, changes)) for f in fractions}
    asked = job.run | {"draws": draws, "fractions": fractions, "resolved": resolved}
    seeds = {f"head {d},{f}": head_seed(d, f) for d, f in cells} | {"pretrain": job.run["seed"]}
    read = [manifest, split, manifest.with_suffix(".images.npy"), encoder]
    return Made([out], read, asked, seeds, facts, parts.remove)


main = adapt


def _write(job: "Job", parts: Parts, cells: list[tuple[int, int]], out: Path) -> dict[str, Any]:
    """Write the predictions of all parts; return the run's facts."""
    frame, refused, walls = parts.collect(cells, tables.SCHEMAS[job.task.TABLE].columns)
    run = job.run | {"wall_s": walls, "peak_mb": provenance.peak_mb(), "host": provenance.host()}
    meta: dict[str, Any] = {"run": run, "refused": refused, "labels": list(job.task.labels)}
    meta |= {"multiclass": bool(job.task.meta.get("multiclass"))}
    tables.write(frame, out, job.task.TABLE, meta)
    return {"refused": refused, "head_wall_s": walls}


def head_seed(draw: int, fraction: int) -> int:
    """Return the seed of the head that is trained on this subset of the labels."""
    return 1000 * draw + fraction


@dataclass
class Job:
    """Everything that is shared by the heads of one job."""

    rules: Protocol
    head: str
    task: "HeadTask"
    encoder: "ImageEncoder"
    rows: Mapping[tuple[str, int, int], Sequence[int]]
    refused: Mapping[tuple[int, int], str]
    run: dict[str, Any]
    device: "torch.device"
    predicted: tuple[tuple[str, Sequence[int]], ...] = field(init=False)

    def __post_init__(self) -> None:
        self.predicted = tuple((s, self.rows.get((s, -1, -1), ())) for s in ("val", "test"))

    def train(
        self, draw: int, fraction: int, changes: Mapping[str, Any], folder: Path
    ) -> tuple[pd.DataFrame | None, str | None]:
        """Train one head and return its predictions, or None and the reason of the refusal."""
        import torch

        from sista.openmmlab.training import TrainSettings, train_head

        rows = self.rows.get(("train", draw, fraction), ())
        reason = self.refused.get((draw, fraction)) or self.task.refusal(rows)
        if reason:
            return None, reason
        chosen = self.settings(fraction, changes)
        seed = head_seed(draw, fraction)
        torch.manual_seed(seed)
        model = self.build(chosen.head.get(self.head, {}))
        names = {each.name for each in fields(TrainSettings)}
        how = TrainSettings(**{k: v for k, v in asdict(chosen).items() if k in names})
        validation = self.predicted[0][1]
        if how.iterations is None:
            reason = self.task.unjudged(validation, chosen.monitor)
            if reason:
                return None, reason

        def judge(trained: Any) -> float:
            if chosen.monitor == "loss":
                return self.task.validation_loss(trained, validation)
            return -self.task.validation_score(trained, validation)

        place = folder / f"draw{draw}_{fraction}"
        train_head(model, rows, self.task.batch, how, seed=seed, folder=place, judge=judge)
        found = [self.task.predictions(model, rows).assign(subset=s) for s, rows in self.predicted]
        return pd.concat(found, ignore_index=True).assign(draw=draw, fraction=fraction), None

    def settings(self, fraction: int, changes: Mapping[str, Any]) -> Settings:
        """Return the protocol's settings within the budget, with the changes."""
        task, dataset, budget = (str(self.run[name]) for name in ("task", "dataset", "budget"))
        chosen = self.rules.settings_for(task, dataset, fraction, budget)
        own = {k: v for k, v in changes.items() if k in {f.name for f in fields(Settings)}}
        inner = {k: v for k, v in changes.items() if k not in own}
        heads = {**chosen.head, self.head: {**chosen.head.get(self.head, {}), **inner}}
        return replace(chosen, **own, head=heads)

    def build(self, settings: Mapping[str, Any]) -> Any:
        """Build the head's model on the job's device."""
        import torch

        from sista.openmmlab.backbone import feature_shape
        from sista.openmmlab.loading import quiet

        features = self.task.features
        shape = feature_shape(self.encoder, features.levels, self.task.size)
        with quiet():
            model = registry.find("heads", self.head)(
                shape, len(self.task.labels), **{**self.task.head_options(), **settings}
            )
        if features.levels and features.maps is None:
            model.backbone.attach(self.encoder, features.levels)
        return model.to(self.device, memory_format=torch.channels_last)


def _changes(text: str, head: str) -> dict[str, Any]:
    """Return the settings that differ from the protocol's, checked by name and type."""
    try:
        changes = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings: not valid JSON ({error.msg}): {text}") from error
    known = registry.settings("heads", head)
    training = {each.name for each in fields(Settings)} - {"head", "frozen", "optimizer"}
    for name, value in changes.items():
        if name in known:
            wrong = registry.check_setting(known[name], value)
            if wrong:
                raise UserError(f"--settings: {head}: {wrong}")
        elif name not in training:
            valid = ", ".join([*sorted(training), *known])
            raise UserError(f"--settings: no setting {name!r}; valid: {valid}")
    return dict(changes)


def _open_job(
    rules: Protocol,
    dataset: str,
    head: str,
    manifest: Path,
    split: Path,
    encoder: Path,
    out: Path,
    threads: int,
    device: str,
) -> Job:
    """Read encoder, manifest and split, and encode the images."""
    kind = str(registry.constant("heads", head, "TASK"))
    levels = registry.constant("heads", head, "LEVELS")
    place = _start_torch(threads, device)
    from sista.encoders.checkpoint import load_image_encoder
    from sista.encoders.stored_features import stored_features
    from sista.openmmlab.loading import load_mmengine

    # Before the heads import it: without its optional extras.
    load_mmengine()
    model, made = load_image_encoder(encoder)
    if model.family not in levels:
        raise UserError(f"head {head} is for {', '.join(levels)}, not for {model.family} encoders")
    model.to(place).requires_grad_(False)
    frame, meta = tables.read(manifest, "manifest")
    chosen, split_meta = tables.read(split, "split")
    module = import_module(f"sista.adaptation.{kind}")
    task_class = getattr(module, TASK_CLASSES[kind])
    used = frame[task_class.annotated(frame, meta) & frame["image_id"].isin(chosen["image_id"])]
    if used.empty:
        raise UserError(f"{manifest}: no image of {dataset} is annotated for {kind}")
    used = used.sort_values("row").reset_index(drop=True)
    size = rules.image_size or model.size
    task = task_class(used, meta, size, rules.settings[kind].zoom, rules.options_for(dataset))
    task.features = stored_features(
        model,
        encoder,
        manifest.with_suffix(".images.npy"),
        [int(row) for row in task.frame["row"]],
        levels=levels[model.family],
        also=_levels_of_other_heads(rules, kind, model.family),
        size=task.size,
        resize=round(task.size * rules.settings[kind].zoom),
        device=place,
        scratch=out.with_name(f".{out.stem}.parts") / "features",
        memory_bytes=rules.map_bytes,
    )
    run = {name: made[name] for name in FROM_ENCODER}
    run |= {"encoder": made["word"], "dataset": dataset, "release": str(meta["release"])}
    run |= {"split_hash": split_meta["hash"], "protocol": rules.word, "head": head, "task": kind}
    run |= {"code_version": provenance.code_version(), "lock_hash": provenance.lock_hash()}
    run |= {"threads": threads, "device": place.type, "image_size": size}
    refused = {(r["draw"], r["fraction"]): str(r["reason"]) for r in split_meta["refused"]}
    return Job(rules, head, task, model, _positions(used, chosen), refused, run, place)


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


def _levels_of_other_heads(rules: Protocol, kind: str, family: str) -> list[int]:
    """Return the map levels of the protocol's heads that see the images at the same scale."""
    zoom = rules.settings[kind].zoom
    heads = [
        of.get(family) for task, of in rules.heads.items() if rules.settings[task].zoom == zoom
    ]
    levels = (registry.constant("heads", head, "LEVELS").get(family, ()) for head in heads if head)
    return sorted({level for each in levels for level in each})


def _positions(used: pd.DataFrame, split: pd.DataFrame) -> dict[tuple[str, int, int], list[int]]:
    """Return positions in `used` of each (subset, draw, fraction), in the order of `used`."""
    place = {name: position for position, name in enumerate(used["image_id"])}
    found: dict[tuple[str, int, int], list[int]] = {}
    columns = (split[name].tolist() for name in ("subset", "draw", "fraction", "image_id"))
    for subset, draw, fraction, name in zip(*columns, strict=True):
        if name in place:
            found.setdefault((subset, draw, fraction), []).append(place[name])
    return {key: sorted(positions) for key, positions in found.items()}
