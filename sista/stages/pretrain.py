"""Stage `pretrain`: from a prepared corpus to an encoder."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sista import registry
from sista.encoders.specs import PACKAGED, EncoderSpec, check_patches, encoder_spec
from sista.engine.corpus import Corpus
from sista.engine.machine import Compiled, Device, Machine, Mode
from sista.errors import UserError, check_range, check_word, warn
from sista.files import atomic, digest, sha256
from sista.grid.budgets import Budget, Precision, find_budget
from sista.runs import provenance
from sista.runs.json_settings import read_settings
from sista.runs.options import Count, Seed, Some, Threads
from sista.runs.record import Made, known, recorded

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sista.encoders.image import ImageEncoder
    from sista.engine.distributed import Ranks
    from sista.engine.interface import Objective


STATE = "resume.safetensors"


@dataclass(frozen=True)
class _Job:
    """What a run was asked for; see `main`.

    Attributes:
        facts: what the encoder's metadata say of it.
        settings: of the method, those that differ.
        budget: with the changes of the command line.
        changed: options that only a training has.
        corpus: what is read.
        out: encoder file to write.
        machine: how it is used.
    """

    facts: dict[str, Any]
    settings: dict[str, Any]
    budget: Budget
    changed: tuple[str, ...]
    corpus: Corpus
    out: Path
    machine: Machine


@recorded("pretrain")
def main(
    *,
    method: str,
    encoder: str,
    corpus: str,
    manifest: Path,
    split: Path,
    out: Path,
    budget: str = "quick",
    variant: str | None = None,
    settings: str = "{}",
    seed: Seed = 0,
    threads: Threads = 1,
    device: Device = "auto",
    precision: Precision | None = None,
    chunk: Count | None = None,
    patience: Count | None = None,
    compiled: Compiled = "auto",
    save_every: Some = 500,
) -> Made | None:
    """Pre-train one encoder and write it as safetensors, its log beside it; resumes when killed.

    `torchrun --nproc-per-node N -m sista pretrain ...` shares each contrastive batch among N
    processes. SIGTERM and SIGUSR1 end a run after the step under way, its state saved, with exit
    code 75: the same command goes on from there.

    Args:
        method: word of a method; `sista list methods` shows them.
        encoder: word of an image encoder.
        corpus: data set reference; must be the manifest's own.
        manifest: prepared corpus.
        split: its split; training and validation studies are used.
        out: encoder file to write.
        budget: training length: tiny, once, quick or paper.
        variant: name of the method with these settings; by default the method's word.
        settings: JSON object of the settings that differ from the method's defaults.
        seed: decides initial weights, order and augmentation.
        threads: CPU threads; part of the bits of the result.
        device: auto, cpu or cuda.
        precision: of the encoders, no, bf16 or fp16; by default the budget's.
        chunk: pairs that a process embeds at a time, to save memory; by default the budget's.
        patience: epochs without a lower validation loss before it stops; by default the budget's.
        compiled: let torch.compile fuse the encoders: on, off, or auto, where it pays: on a GPU in
            long runs.
        save_every: steps after which the state is saved, besides each epoch's end.
    """
    machine = Machine(device, threads, compiled, save_every)
    facts: dict[str, Any] = {"word": encoder, "method": method, "variant": variant or method}
    facts |= {"corpus": corpus, "budget": budget, "seed": seed}
    facts |= {"threads": threads, "compiled": False}
    changes = {"precision": precision, "chunk": chunk, "patience": patience}
    # What was not asked for stays the budget's own.
    named = {name: value for name, value in changes.items() if value is not None}
    return _pretrain(_job(facts, settings, named, Corpus(manifest, split), out, machine))


def _job(
    facts: dict[str, Any],
    settings: str,
    changes: dict[str, Any],
    corpus: Corpus,
    out: Path,
    machine: Machine,
) -> _Job:
    """Return what was asked for, all of it checked before any data is read.

    Raises:
        UserError: a word, a setting or a number is wrong; names the valid ones.
    """
    given = read_settings(settings)
    registry.path("methods", facts["method"])
    try:
        registry.check_settings("methods", facts["method"], given)
    except UserError as error:
        raise UserError(f"--settings: {error}") from error
    check_word("--variant", facts["variant"])
    encoder_spec(facts["word"])
    check_range("--seed", facts["seed"], 0)
    budget = replace(find_budget(facts["budget"]), **changes)
    changed = (*changes, *(["compiled"] if machine.compiled == "on" else []))
    return _Job(facts, given, budget, changed, corpus, out, machine)


def _pretrain(job: _Job) -> Made | None:
    """Train in one or more processes; the first one writes and returns what it made."""
    # Imported when called, so that help costs no torch.
    from sista.encoders.checkpoint import save_checkpoint
    from sista.engine.distributed import processes

    device = job.machine.start(job.facts["seed"])
    # Before the encoder: objectives draw their own first weights from the same stream.
    objective: Objective = registry.find("methods", job.facts["method"])(**job.settings)
    if job.changed and not objective.needs.trained:
        raise UserError(
            f"{job.facts['method']} is not trained: --{job.changed[0]} would have no effect"
        )
    files = job.corpus.files()
    # Of a control too: its record names the corpus.
    job.corpus.check(job.facts["corpus"])
    with processes(device) as ranks:
        run = job.facts | {
            "settings": job.settings,
            "settings_hash": digest({"method": job.facts["method"], **job.settings}),
            "device": device.type,
            "processes": ranks.count,
            "manifest_sha256": sha256(job.corpus.manifest),
            "split_sha256": sha256(job.corpus.split),
            "code_version": provenance.code_version(),
            "lock_hash": provenance.lock_hash(),
        }
        modules, learned = _train(job, run, objective, device, ranks)
        if not ranks.first:
            return None
        save_checkpoint(job.out, modules, run | learned)
        if objective.needs.trained:
            run |= {"resolved_budget": asdict(job.budget)}
        return _made(job, run, learned, files)


def _made(job: _Job, run: dict[str, Any], learned: dict[str, Any], read: list[Path]) -> Made:
    """Return what the record of the run says; only then the state of a killed run may go."""
    from sista.engine.state import discard

    defaults = {k: each.default for k, each in registry.settings("methods", run["method"]).items()}
    # Of a control: the file that it is made from.
    named = [learned[name] for name in ("released", "weights") if name in learned]
    # Those of an installed package are part of the environment.
    weights = [facts["path"] for facts in named if "path" in facts]
    beside = (job.out.with_name(name) for name in ("log.csv", "word_maps.npz"))
    return Made(
        [job.out, *(path for path in beside if path.is_file())],
        [*read, *map(Path, weights)],
        run | {"resolved": defaults | run["settings"]},
        {"pretrain": run["seed"]},
        {name: learned.get(name) for name in ("released", "weights", "plateau", "plateau_left")},
        tidy=lambda: discard(job.out.with_name(STATE)),
    )


def _train(
    job: _Job,
    run: dict[str, Any],
    objective: "Objective",
    device: "torch.device",
    ranks: "Ranks",
) -> tuple[dict[str, "nn.Module"], dict[str, Any]]:
    """Make the encoder, train it where the method trains, and write log and word maps.

    Returns:
        The modules of the checkpoint, and what a reader needs to build them again.
    """
    spec = encoder_spec(run["word"])
    image, learned = _start_encoder(objective, spec)
    learned |= {"family": spec.family, "image_encoder": image.description()}
    check_patches(spec, job.settings, image.map_strides[0])
    if not objective.needs.trained:
        if ranks.first:
            _write_log([], job.out)
        return {"image": image}, learned
    # Text encoders and word statistics cost seconds to import; a control needs none.
    from sista.encoders.text import SMALL, architecture
    from sista.engine.health import plateau
    from sista.engine.loop import Trainer
    from sista.engine.model import PretrainModel
    from sista.engine.sources import known_labels, load_sources
    from sista.engine.word_maps import write_word_maps

    needs, budget = objective.needs, job.budget
    # A damaged file is refused before hours are spent, and a state made from it is not resumed.
    read = {path.name: known(path).sha256 for path in job.corpus.files()}
    data = load_sources(job.corpus, side=image.size, needs=needs, budget=budget, text=spec.text)
    model = PretrainModel(image, data.text, needs, len(data.train.pairs.label_names))
    model.start_at(known_labels(data.train.pairs))
    steps = budget.epochs * max(len(data.train) // budget.batch, 1)
    whole = ranks.count == 1 and not budget.chunk
    mode = Mode.of(device.type, job.machine.compiled, steps, whole)
    # Only now it is known: of a part of the identity, and of the record.
    run["compiled"] = mode.compiled
    trainer = Trainer(model, objective, budget, run["seed"], device, ranks, mode)
    identity = digest(run | {"resolved_budget": asdict(budget), "read": read})
    resume = job.out.with_name(STATE)
    log = trainer.fit(data.train, data.val, resume, identity, job.machine.save_every)
    # The momentum copy only serves training.
    learned_parts = {k: m for k, m in model.named_children() if k != "target"}
    if ranks.first:
        write_word_maps(job.out.with_name("word_maps.npz"), trainer, data.val)
        _write_log(log, job.out)
        learned["plateau"], learned["plateau_left"], told = plateau(log, budget.epochs)
        warn(f"{job.out}: {told}")
    if model.text is not None and spec.text != SMALL:
        learned["text_encoder"] = architecture(model.text)
    learned["tokenizer"] = data.tokenizer.to_str() if data.tokenizer else None
    return learned_parts | {"objective": objective}, learned


def _start_encoder(
    objective: "Objective", spec: EncoderSpec
) -> tuple["ImageEncoder", dict[str, Any]]:
    """Return the image encoder as it starts, and which file of weights it was made from."""
    from sista.encoders.checkpoint import load_released
    from sista.encoders.image import ImageEncoder
    from sista.importers._timm_weights import encoder_of_file, encoder_of_package

    needs = objective.needs
    if needs.weights:
        image, facts = load_released(needs.weights, spec.word)
        return image, {"released": facts}
    if needs.timm_weights:
        image, facts = encoder_of_file(needs.timm_weights, spec)
        return image, {"weights": facts}
    pretrained = needs.released_weights or (needs.trained and bool(spec.initial_weights))
    if pretrained and spec.initial_weights.startswith(PACKAGED):
        image, facts = encoder_of_package(spec)
        return image, {"weights": facts}
    return ImageEncoder(spec, pretrained=pretrained), {}


def _write_log(log: list[dict[str, float]], out: Path) -> None:
    """Write the log of all epochs beside the encoder."""
    import pandas as pd

    with atomic(out.with_name("log.csv")) as temporary:
        pd.DataFrame(log).to_csv(temporary, index=False)
