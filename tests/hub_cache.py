"""A stand-in for the hub's cache (HF_HOME): the weights that the paper grid downloads, random."""

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from sista.encoders.specs import EncoderSpec

REVISION = "0" * 40
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",")


def fill(home: Path, spec: EncoderSpec) -> None:
    """Write what an encoder and its text encoder ask the hub for, as it lies after a download.

    Args:
        home: the folder HF_HOME.
        spec: of the encoder; released weights and a text encoder's hub id are needed.
    """
    torch.manual_seed(5)
    model = timm.create_model(f"{spec.timm_name}.{spec.initial_weights}", pretrained=False)
    folder = _snapshot(home, model.pretrained_cfg["hf_hub_id"])
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors"
    )
    text = _snapshot(home, spec.text)
    if not (text / "config.json").is_file():
        BertModel(BertConfig()).save_pretrained(text)
        letters = [chr(n) for n in range(ord("a"), ord("z") + 1)] + [str(n) for n in range(10)]
        words = [*WORDS, *letters, *(f"##{letter}" for letter in letters)]
        (text / "vocab.txt").write_text("\n".join(words))
        BertTokenizerFast(vocab=str(text / "vocab.txt")).save_pretrained(text)


def _snapshot(home: Path, name: str) -> Path:
    """Return the folder of a hub id in the cache."""
    place = home / "hub" / f"models--{name.replace('/', '--')}"
    folder = place / "snapshots" / REVISION
    folder.mkdir(parents=True, exist_ok=True)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(REVISION)
    return folder
