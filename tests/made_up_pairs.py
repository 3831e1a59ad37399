"""A small corpus in memory and trainers for it, for tests of the engine."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from sista import registry
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.encoders.text import small_bert
from sista.engine.films import Films
from sista.engine.loop import Trainer
from sista.engine.model import PretrainModel
from sista.engine.pairs import Pairs
from sista.engine.sources import Source, known_labels
from sista.grid.budgets import Budget
from sista.text.similarity import label_vectors, tfidf_vectors
from sista.text.vocabulary import tokenise, train_vocabulary

SPECS = {
    "resnet": EncoderSpec(
        "r", "resnet", "resnet10t", 32, {"channels": (8, 8, 8, 8), "stem_width": 8}
    ),
    "vit": EncoderSpec(
        "v",
        "vit",
        "vit_tiny_patch16_224",
        32,
        {"patch_size": 8, "depth": 1, "embed_dim": 16, "num_heads": 2},
    ),
}
BUDGET = Budget("made", epochs=2, batch=8, learning_rate=1e-2, warmup=0.0)
# A contrastive batch whose longest reports lie in the second half.
ROWS = np.array([0, 4, 8, 12, 1, 2, 3, 7])
FINDINGS = "effusion opacity edema nodule cardiomegaly fracture pneumothorax device".split()


def reports(count):
    """Reports of 1 to 4 sentences, so that batches are ragged."""
    generator = np.random.default_rng(0)
    texts = []
    for n in range(count):
        names = generator.permutation(FINDINGS)[: 1 + n % 4]
        texts.append(" ".join(f"there is {name} on the left." for name in names))
    return texts


def sources(count=24, similarity="tfidf"):
    """The training source; its reports are its validation too."""
    generator = np.random.default_rng(1)
    texts = reports(count)
    tokenizer = train_vocabulary(texts)
    images = generator.integers(0, 255, (count, 37, 37), np.uint8)
    labels = generator.integers(0, 2, (count, 3)).astype(float)
    pairs = Pairs(pd.DataFrame({"report": texts}), Films(images), labels, ("a", "b", "c"))
    vectors = label_vectors(labels) if similarity == "labels" else tfidf_vectors(texts)
    table = tokenise(texts, tokenizer, longest=40)
    return Source(pairs, table, vectors), tokenizer.get_vocab_size()


def trainer(
    method="sista",
    encoder="vit",
    *,
    dropout=0.0,
    ranks=None,
    mode=None,
    double=False,
    settings=None,
    device="cpu",
    **budget,
):
    """A trainer of a method and its training source."""
    source, vocabulary = sources()
    torch.manual_seed(0)
    objective = registry.find("methods", method)(**(settings or {}))
    image = ImageEncoder(SPECS[encoder])
    text = small_bert(vocabulary, 40) if objective.needs.text else None
    if text is not None:
        for module in text.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
    if not objective.needs.similarity:
        source = replace(source, vectors=None)
    model = PretrainModel(image, text, objective.needs, 3)
    objective.prepare(len(source))
    if double:
        model.double()
        objective.double()
        for encoder in (model.image, model.target.image if objective.needs.momentum else None):
            if encoder is not None:
                encoder.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    changed = replace(BUDGET, **budget)
    return Trainer(model, objective, changed, 0, torch.device(device), ranks, mode), source


def gradients(method, encoder, **changes):
    """Loss parts and gradients of one contrastive batch, and the trainer."""
    made, source = trainer(method, encoder, **changes)
    return *step(made, source), made


def step(made, source):
    """Loss parts and gradients of one contrastive batch."""
    made.model.train()
    chunks = made.chunks(source, ROWS, 0, known_labels(source.pairs))
    parts = made.differentiate(chunks, source.alike(ROWS, made.device), made.scaler, 5)
    found = {
        f"{place}.{name}": parameter.grad
        for place, module in (("model", made.model), ("objective", made.objective))
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    return parts, found
