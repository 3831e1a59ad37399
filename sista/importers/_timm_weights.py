"""Weights of a timm model in a local file, for machines without the internet. Nothing is run."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.errors import UserError
from sista.files import sha256
from sista.importers._files import read_tensors

COUNTERS = "num_batches_tracked"


def encoder_of_file(template: str, spec: EncoderSpec) -> tuple[ImageEncoder, dict[str, Any]]:
    """Return an encoder with the weights of a file, and the file with what was left out of it.

    Only the classifier that timm names for the architecture may be left out, and only the counters
    of batch norms, which nothing reads here, may be missing.

    Args:
        template: path of safetensors or a file of `torch.save` with timm's own keys; `{encoder}`
            becomes the encoder's word.
        spec: of the encoder.

    Raises:
        UserError: the file is missing or damaged, asks for code, or is not this architecture's;
            names keys and remedy.
    """
    path = Path(template.replace("{encoder}", spec.word))
    name = ".".join(part for part in (spec.timm_name, spec.initial_weights) if part)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; where there is a network, save the weights of timm's {name} "
            "(model.safetensors of its page on the hub), then copy them here"
        )
    tensors = read_tensors(path)
    encoder = ImageEncoder(spec)
    expected = encoder.body.state_dict()
    classifiers = encoder.body.default_cfg["classifier"]
    # Distilled models have two classifiers, and timm then names a tuple.
    heads = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    left_out = sorted(k for k in tensors if k not in expected and k.rpartition(".")[0] in heads)
    wrong = {key: "not a key of it" for key in tensors if key not in expected}
    wrong = {key: why for key, why in wrong.items() if key not in left_out}
    for key, wanted in expected.items():
        if key in tensors:
            if why := _unfit(tensors[key], wanted):
                wrong[key] = why
        elif not key.endswith(COUNTERS):
            wrong[key] = "missing"
    if wrong:
        told = "; ".join(f"{key}: {why}" for key, why in sorted(wrong.items())[:4])
        raise UserError(
            f"{path}: not the weights of timm's {name} for encoder {spec.word}, {len(wrong)} keys "
            f"are wrong ({told}); for weights of others use `sista import` and method `released`"
        )
    # What is absent by now are counters of batch norms: the encoder's own zeros stay.
    state = {key: tensors.get(key, wanted).to(wanted.dtype) for key, wanted in expected.items()}
    encoder.body.load_state_dict(state)
    facts = {"path": str(path), "sha256": sha256(path), "left_out": left_out}
    return encoder.eval(), facts


def _unfit(value: Tensor, wanted: Tensor) -> str | None:
    """Return why a tensor cannot stand for another, or None."""
    if value.shape != wanted.shape:
        return f"{tuple(value.shape)}, needed {tuple(wanted.shape)}"
    return None if bool(torch.isfinite(value).all()) else "holds NaN or infinity"
