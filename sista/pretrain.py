"""Stage `pretrain`: from a prepared corpus to an encoder."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from tokenizers import Tokenizer
from torch import nn

from sista import provenance, registry
from sista.budgets import Budget, find_budget
from sista.encoders.checkpoint import save_checkpoint
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.encoders.text import SMALL, TextEncoder, load_pretrained, small_bert
from sista.engine.corpus import CROP, Pairs, load_pairs
from sista.engine.interface import Needs, Objective
from sista.engine.loop import Source, Trainer, known_labels
from sista.engine.model import PretrainModel
from sista.files import UserError, atomic, digest, sha256, write_json
from sista.reports.similarity import label_vectors, tfidf_vectors
from sista.reports.vocabulary import TokenTable, tokenise, train_vocabulary

MAPS_SHOWN = 6


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
    started = time.perf_counter()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(seed)
    chosen = _device(device)
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


def _device(word: str) -> torch.device:
    if word == "auto":
        word = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(word)


def _train(
    objective: Objective,
    run: dict[str, Any],
    corpus: tuple[Path, Path],
    out: Path,
    device: torch.device,
) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """Make the encoder, train it where the method trains, and write log and word maps.

    Returns:
        The modules of the checkpoint, and what a reader needs to build them again.
    """
    spec, plan, needs = encoder_spec(run["word"]), find_budget(run["budget"]), objective.needs
    start_from_weights = needs.trained and bool(spec.initial_weights)
    image = ImageEncoder(spec, pretrained=needs.released_weights or start_from_weights)
    learned: dict[str, Any] = {"image_encoder": image.description(), "family": spec.family}
    modules: dict[str, nn.Module] = {"image": image}
    log: list[dict[str, float]] = []
    if needs.trained:
        data = _Data(*corpus, image.size, needs, plan, spec.text)
        model = PretrainModel(image, data.text, needs, len(data.train.pairs.label_names))
        model.start_at(known_labels(data.train.pairs))
        trainer = Trainer(model, objective, plan, run["seed"], device)
        identity = digest(run | {"plan": asdict(plan)})
        log = trainer.fit(data.train, data.val, out.with_name("resume.pt"), identity)
        # The momentum copy only serves training.
        learned_parts = {k: m for k, m in model.named_children() if k != "target"}
        modules = learned_parts | {"objective": objective}
        _write_maps(out.with_name("word_maps.npz"), trainer, data.val)
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


class _Data:
    """Training and validation studies with their tokens and report vectors."""

    def __init__(
        self, manifest: Path, split: Path, side: int, needs: Needs, plan: Budget, text: str
    ) -> None:
        size = round(side / CROP)
        train = load_pairs(
            manifest, split, subset="train", size=size, text=needs.text, limit=plan.pairs
        )
        val = load_pairs(manifest, split, subset="val", size=size, text=needs.text)
        self.text: TextEncoder | None = None
        self.tokenizer: Tokenizer | None = None
        tables: list[TokenTable | None] = [None, None]
        if needs.text:
            if text == SMALL:
                self.tokenizer = train_vocabulary(list(train.frame["report"]))
                self.text = small_bert(self.tokenizer.get_vocab_size(), plan.tokens)
            else:
                self.text, self.tokenizer = load_pretrained(text)
            tables = self._tokens(train, val, needs, plan)
        vectors = [_vectors(p, needs) for p in (train, val)]
        self.train = Source(train, tables[0], vectors[0])
        self.val = Source(val, tables[1], vectors[1])

    def _tokens(
        self, train: Pairs, val: Pairs, needs: Needs, plan: Budget
    ) -> list[TokenTable | None]:
        if self.tokenizer is None:
            return [None, None]
        form: dict[str, Any] = {"longest": plan.tokens, "stop_words": needs.stop_words}
        first = tokenise(list(train.frame["report"]), self.tokenizer, **form)
        second = tokenise(list(val.frame["report"]), self.tokenizer, words=first.words, **form)
        return [first, second]


def _vectors(pairs: Pairs, needs: Needs) -> sparse.csr_matrix | None:
    if needs.similarity == "tfidf":
        text = "raw" if needs.r_text == "raw" else "cleaned"
        return tfidf_vectors(list(pairs.frame["report"]), text)  # type: ignore[arg-type]
    return label_vectors(pairs.labels) if needs.similarity == "labels" else None


@torch.no_grad()
def _write_maps(path: Path, trainer: Trainer, val: Source) -> None:
    """Write where the words of a few validation reports look, for the report's sheets."""
    batch = next(iter(trainer.batches(val, known_labels(val.pairs))))
    e = trainer.model(batch)
    weights = trainer.objective.word_patch_weights(e)
    if weights is None or e.word_ids is None or val.tokens is None:
        return
    # Abnormal studies with long reports show most.
    positive = np.nan_to_num(val.pairs.labels[: len(batch.images)]).clip(0).sum(1)
    shown = np.argsort(-positive, kind="stable")[:MAPS_SHOWN]
    ids = e.word_ids.cpu().numpy()[shown]
    names = np.array([*val.tokens.words, ""])
    side = round(weights.shape[-1] ** 0.5)
    maps = weights.cpu().numpy()[shown].reshape(len(shown), -1, side, side)
    with atomic(path) as temporary:
        np.savez_compressed(
            temporary,
            images=batch.images.cpu().numpy()[shown].astype(np.uint8),
            words=names[ids],
            weights=maps.astype(np.float32),
            valid=ids >= 0,
            image_id=np.array(val.pairs.frame["image_id"].to_numpy()[shown], dtype=str),
        )
