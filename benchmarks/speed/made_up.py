"""Made-up studies and trainers in a GPU's mode, at full size or slim: as deep, but narrow.

Operations and waits of a step do not depend on widths, so that a CPU can count them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertModel

from sista import registry
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec, encoder_spec
from sista.encoders.text import TextEncoder
from sista.engine.films import Films
from sista.engine.loop import Trainer
from sista.engine.machine import Mode
from sista.engine.model import PretrainModel
from sista.engine.pairs import Pairs
from sista.engine.sources import Source
from sista.grid.budgets import BUDGETS, Precision
from sista.text.vocabulary import TokenTable

STUDIES = 1440
LONGEST, VOCABULARY = 112, 30522
# Tokens of Open-i's reports: mean 53 of 112.
MEAN, SPREAD, SHORTEST = 53, 22, 12
LITERAL = {"sparsify": "minmax", "image_negatives": 0, "w_report_end": None, "patch_stride": 16}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "clip": ("clip", {}),
    "sista": ("sista", {}),
    "sista_literal": ("sista", LITERAL),
    "mgca": ("mgca", {}),
    "gloria": ("gloria", {}),
}
SLIM = {
    "vit_base": EncoderSpec(
        "vit_base",
        "vit",
        "vit_base_patch16_224",
        224,
        {"patch_size": 16, "depth": 12, "embed_dim": 24, "num_heads": 2},
    ),
    "resnet50": EncoderSpec(
        "resnet50", "resnet", "resnet50", 224, {"channels": (8, 8, 8, 8), "stem_width": 8}
    ),
}
WIDTH = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 48}


def lengths(count: int, seed: int = 0) -> NDArray[np.int32]:
    """Return tokens of made-up reports, spread like those of Open-i."""
    drawn = np.random.default_rng(seed).normal(MEAN, SPREAD, count)
    return drawn.round().clip(SHORTEST, LONGEST).astype(np.int32)


def tokens(length: NDArray[np.int32]) -> TokenTable:
    """Return a table of random pieces: five make four words, twelve a sentence."""
    generator = np.random.default_rng(0)
    place = np.arange(LONGEST)
    inner = (place > 0) & (place < length[:, None] - 1)
    words, sentences = LONGEST * 4 // 5 + 1, LONGEST // 12 + 1
    slot = np.where(inner, (place - 1) * 4 // 5, words)
    sentence = np.where(inner, (place - 1) // 12, sentences)
    counts = np.array([len({*row[row < words]}) for row in slot])
    numbers = generator.integers(0, 2000, (len(length), words))
    pieces = (sentence[:, :, None] == np.arange(sentences)).sum(1)
    return TokenTable(
        ids=np.where(place < length[:, None], generator.integers(1000, 30000, slot.shape), 0),
        length=length,
        slot=slot,
        word_ids=np.where(np.arange(words) < counts[:, None], numbers, -1),
        sentence=sentence,
        sentence_pieces=pieces,
        words=tuple(map(str, range(2000))),
    )


def source(container: Path, count: int, length: NDArray[np.int32]) -> Source:
    """Return made-up studies whose images lie in a container on disk."""
    generator = np.random.default_rng(0)
    np.save(container, generator.integers(0, 255, (count, 256, 256), np.uint8))
    images = Films(np.load(container, mmap_mode="r", allow_pickle=False))
    frame = pd.DataFrame({"report": [""] * count})
    vectors = generator.normal(size=(count, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Source(Pairs(frame, images, np.zeros((count, 14)), ()), tokens(length), vectors)


def trainer(
    variant: str,
    encoder: str,
    batch: int,
    precision: Precision,
    device: torch.device,
    mode: Mode,
    slim: bool = False,
) -> Trainer:
    """Return a trainer with random weights, in training mode.

    Args:
        variant: a key of `VARIANTS`, or a method as it ships.
        encoder: `vit_base` or `resnet50`.
        batch: pairs.
        precision: of the encoders.
        device: of the model.
        mode: how it is used.
        slim: narrow encoders of the same depth.
    """
    torch.manual_seed(0)
    method, settings = VARIANTS.get(variant, (variant, {}))
    objective = registry.find("methods", method)(**settings)
    spec = SLIM[encoder] if slim else encoder_spec(encoder)
    body = BertModel(BertConfig(**(WIDTH if slim else {})), add_pooling_layer=False)
    needs = objective.needs
    model = PretrainModel(ImageEncoder(spec), TextEncoder(body, pool="cls"), needs, 14)
    budget = replace(BUDGETS["paper"], batch=batch, precision=precision)
    objective.prepare(STUDIES)
    made = Trainer(model, objective, budget, 0, device, mode=mode)
    made.model.train()
    made.objective.train()
    return made
