"""Stage `pretrain`: from a prepared corpus to an encoder."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sista import provenance, registry
from sista.budgets import find_budget
from sista.encoders.specs import encoder_spec
from sista.files import UserError, atomic, digest, sha256, write_json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sista.engine.interface import Objective


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
) -> None:
    """Pre-train one encoder and write it as safetensors, its log beside it; resumes when killed.

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
    """
    # Imported when called, so that help costs no torch.
    from sista.encoders.checkpoint import save_checkpoint

    started = time.perf_counter()
    chosen = _start(seed, threads, device)
    changed = _settings(settings)
    objective: Objective = registry.find("methods", method)(**changed)
    run = {
        "word": encoder,
        "method": method,
        "variant": variant or method,
        "settings": changed,
        "settings_hash": digest({"method": method, **changed}),
        "corpus": corpus,
        "budget": budget,
        "seed": seed,
        "threads": threads,
        "device": chosen.type,
        "manifest_sha256": sha256(manifest),
        "split_sha256": sha256(split),
        "code_version": provenance.code_version(),
        "lock_hash": provenance.lock_hash(),
    }
    modules, learned = _train(objective, run, (manifest, split), out, chosen)
    spent = {"wall_s": time.perf_counter() - started, "peak_mb": provenance.peak_mb()}
    record = run | spent | {"plan": asdict(find_budget(budget)), "host": provenance.host()}
    write_json(out.with_name("run.json"), record)
    save_checkpoint(out, modules, run | learned)
    out.with_name("resume.pt").unlink(missing_ok=True)


def _start(seed: int, threads: int, device: str) -> "torch.device":
    """Set what decides the bits of a run and return its device."""
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(seed)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def _train(
    objective: "Objective",
    run: dict[str, Any],
    corpus: tuple[Path, Path],
    out: Path,
    device: "torch.device",
) -> tuple[dict[str, "nn.Module"], dict[str, Any]]:
    """Make the encoder, train it where the method trains, and write log and word maps.

    Returns:
        The modules of the checkpoint, and what a reader needs to build them again.
    """
    import pandas as pd

    from sista.encoders.image import ImageEncoder
    from sista.engine.loop import Trainer, known_labels
    from sista.engine.model import PretrainModel
    from sista.engine.sources import load_sources
    from sista.engine.word_maps import write_word_maps

    spec, plan, needs = encoder_spec(run["word"]), find_budget(run["budget"]), objective.needs
    start_from_weights = needs.trained and bool(spec.initial_weights)
    image = ImageEncoder(spec, pretrained=needs.released_weights or start_from_weights)
    learned: dict[str, Any] = {"image_encoder": image.description(), "family": spec.family}
    modules: dict[str, nn.Module] = {"image": image}
    log: list[dict[str, float]] = []
    if needs.trained:
        data = load_sources(*corpus, side=image.size, needs=needs, plan=plan, text=spec.text)
        model = PretrainModel(image, data.text, needs, len(data.train.pairs.label_names))
        model.start_at(known_labels(data.train.pairs))
        trainer = Trainer(model, objective, plan, run["seed"], device)
        identity = digest(run | {"plan": asdict(plan)})
        log = trainer.fit(data.train, data.val, out.with_name("resume.pt"), identity)
        # The momentum copy only serves training.
        learned_parts = {k: m for k, m in model.named_children() if k != "target"}
        modules = learned_parts | {"objective": objective}
        write_word_maps(out.with_name("word_maps.npz"), trainer, data.val)
        learned["tokenizer"] = data.tokenizer.to_str() if data.tokenizer else None
    with atomic(out.with_name("log.csv")) as temporary:
        pd.DataFrame(log).to_csv(temporary, index=False)
    return modules, learned


def _settings(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings: not valid JSON ({error.msg}): {text}") from error
    if not isinstance(value, dict):
        raise UserError(f"--settings: a JSON object is needed, not {text}")
    return value
