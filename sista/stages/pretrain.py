"""Stage `pretrain`: from a prepared corpus to an encoder."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sista import registry
from sista.encoders.specs import EncoderSpec, encoder_spec
from sista.errors import UserError
from sista.files import atomic, digest, sha256
from sista.grid.budgets import Budget, Precision, find_budget
from sista.runs import provenance
from sista.runs.record import Made, known, recorded

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sista.encoders.image import ImageEncoder
    from sista.engine.distributed import Ranks
    from sista.engine.interface import Objective


STATE = "resume.pt"


@dataclass(frozen=True)
class _Machine:
    """How a run uses the machine; see `main`."""

    device: "torch.device"
    ranks: "Ranks"
    compiled: bool
    save_every: int


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
    seed: int = 0,
    threads: int = 1,
    device: str = "auto",
    precision: Precision | None = None,
    chunk: int | None = None,
    patience: int | None = None,
    compiled: bool = False,
    save_every: int = 500,
) -> Made | None:
    """Pre-train one encoder and write it as safetensors, its log beside it; resumes when killed.

    `torchrun --nproc-per-node N -m sista pretrain ...` shares each contrastive batch among N
    processes. SIGTERM and SIGUSR1 end a run after the step under way, its state saved, with exit
    code 75: the same command goes on from there.

    Args:
        method: word of a method; `sista list methods` shows them.
        encoder: word of an image encoder.
        corpus: data set reference, for the record.
        manifest: prepared corpus.
        split: its split; training and validation studies are used.
        out: encoder file to write.
        budget: training length: tiny, quick or paper.
        variant: name of the method with these settings; by default the method's word.
        settings: JSON object of the settings that differ from the method's defaults.
        seed: decides initial weights, order and augmentation.
        threads: CPU threads; part of the bits of the result.
        device: auto, cpu or cuda.
        precision: of the encoders, no, bf16 or fp16; by default the budget's.
        chunk: pairs that a process embeds at a time, to save memory; by default the budget's.
        patience: epochs without a lower validation loss before it stops; by default the budget's.
        compiled: fuse the encoders with torch.compile.
        save_every: steps after which the state is saved, besides each epoch's end.
    """
    facts = {
        "word": encoder,
        "method": method,
        "variant": variant or method,
        "corpus": corpus,
        "budget": budget,
        "seed": seed,
        "threads": threads,
        "compiled": compiled,
    }
    changes = {"precision": precision, "chunk": chunk, "patience": patience}
    plan = replace(find_budget(budget), **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]
    return _pretrain(facts, plan, _settings(settings), (manifest, split), out, (device, save_every))


def _pretrain(
    facts: dict[str, Any],
    plan: Budget,
    settings: dict[str, Any],
    corpus: tuple[Path, Path],
    out: Path,
    machine: tuple[str, int],
) -> Made | None:
    """Train in one or more processes; the first one writes and returns what it made."""
    # Imported when called, so that help costs no torch.
    from sista.encoders.checkpoint import save_checkpoint
    from sista.engine.distributed import processes

    device = _start(facts["seed"], facts["threads"], machine[0])
    objective: Objective = registry.find("methods", facts["method"])(**settings)
    with processes(device) as ranks:
        run = facts | {
            "settings": settings,
            "settings_hash": digest({"method": facts["method"], **settings}),
            "device": device.type,
            "processes": ranks.count,
            "manifest_sha256": sha256(corpus[0]),
            "split_sha256": sha256(corpus[1]),
            "code_version": provenance.code_version(),
            "lock_hash": provenance.lock_hash(),
        }
        how = _Machine(device, ranks, facts["compiled"], machine[1])
        modules, learned = _train(objective, plan, run, corpus, out, how)
        if not ranks.first:
            return None
        save_checkpoint(out, modules, run | learned)
        return _made(run | {"plan": asdict(plan)}, learned, corpus, out)


def _made(
    run: dict[str, Any], learned: dict[str, Any], corpus: tuple[Path, Path], out: Path
) -> Made:
    """Return what the record of the run says; only then the state of a killed run may go."""
    from sista.engine.state import discard

    defaults = {k: each.default for k, each in registry.settings("methods", run["method"]).items()}
    # Of a control: the file that it is made from.
    files = [learned[name]["path"] for name in ("released", "weights") if name in learned]
    made = [
        path for name in ("log.csv", "word_maps.npz") if (path := out.with_name(name)).is_file()
    ]
    return Made(
        [out, *made],
        [*_inputs(corpus), *map(Path, files)],
        run | {"resolved": defaults | run["settings"]},
        {"pretrain": run["seed"]},
        {name: learned.get(name) for name in ("released", "weights")},
        tidy=lambda: discard(out.with_name(STATE)),
    )


def _inputs(corpus: tuple[Path, Path]) -> list[Path]:
    """Return the files of a prepared corpus that a run reads: manifest, split, images, words."""
    images, vocabulary = (corpus[0].with_suffix(s) for s in (".images.npy", ".vocabulary.json"))
    return [path for path in (*corpus, images, vocabulary) if path.is_file()]


def _start(seed: int, threads: int, device: str) -> "torch.device":
    """Set what decides the bits of a run and return its device."""
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before it is written; filling it costs a twentieth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        # Several processes of one machine: each has its own GPU.
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(device)


def _train(
    objective: "Objective",
    plan: Budget,
    run: dict[str, Any],
    corpus: tuple[Path, Path],
    out: Path,
    machine: _Machine,
) -> tuple[dict[str, "nn.Module"], dict[str, Any]]:
    """Make the encoder, train it where the method trains, and write log and word maps.

    Returns:
        The modules of the checkpoint, and what a reader needs to build them again.
    """
    spec = encoder_spec(run["word"])
    image, learned = _start_encoder(objective, spec)
    learned |= {"family": spec.family, "image_encoder": image.description()}
    if not objective.needs.trained:
        if machine.ranks.first:
            _write_log([], out)
        return {"image": image}, learned
    # Text encoders and word statistics cost seconds to import; a control needs none.
    from sista.engine.loop import Trainer
    from sista.engine.model import PretrainModel
    from sista.engine.sources import known_labels, load_sources
    from sista.engine.word_maps import write_word_maps

    needs = objective.needs
    # A damaged file is refused before hours are spent, and a state made from it is not resumed.
    read = {path.name: known(path).sha256 for path in _inputs(corpus)}
    data = load_sources(*corpus, side=image.size, needs=needs, plan=plan, text=spec.text)
    model = PretrainModel(image, data.text, needs, len(data.train.pairs.label_names))
    model.start_at(known_labels(data.train.pairs))
    spread: dict[str, Any] = {"ranks": machine.ranks, "compiled": machine.compiled}
    trainer = Trainer(model, objective, plan, run["seed"], machine.device, **spread)
    identity = digest(run | {"plan": asdict(plan), "read": read})
    resume = out.with_name(STATE)
    log = trainer.fit(data.train, data.val, resume, identity, machine.save_every)
    # The momentum copy only serves training.
    learned_parts = {k: m for k, m in model.named_children() if k != "target"}
    if machine.ranks.first:
        write_word_maps(out.with_name("word_maps.npz"), trainer, data.val)
        _write_log(log, out)
    learned["tokenizer"] = data.tokenizer.to_str() if data.tokenizer else None
    return learned_parts | {"objective": objective}, learned


def _start_encoder(
    objective: "Objective", spec: EncoderSpec
) -> tuple["ImageEncoder", dict[str, Any]]:
    """Return the image encoder as it starts, and which file of weights it was made from."""
    from sista.encoders.checkpoint import load_released
    from sista.encoders.image import ImageEncoder
    from sista.importers._timm_weights import encoder_of_file

    needs = objective.needs
    if needs.weights:
        image, facts = load_released(needs.weights, spec.word)
        return image, {"released": facts}
    if needs.timm_weights:
        image, facts = encoder_of_file(needs.timm_weights, spec)
        return image, {"weights": facts}
    start_from_weights = needs.trained and bool(spec.initial_weights)
    return ImageEncoder(spec, pretrained=needs.released_weights or start_from_weights), {}


def _write_log(log: list[dict[str, float]], out: Path) -> None:
    """Write the log of all epochs beside the encoder."""
    import pandas as pd

    with atomic(out.with_name("log.csv")) as temporary:
        pd.DataFrame(log).to_csv(temporary, index=False)


def _settings(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings: not valid JSON ({error.msg}): {text}") from error
    if not isinstance(value, dict):
        raise UserError(f"--settings: a JSON object is needed, not {text}")
    return value
