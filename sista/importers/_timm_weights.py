"""Weights of a timm model in a local file or an installed package. No network, nothing is run."""

import importlib.util
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sista.encoders.image import ImageEncoder
from sista.encoders.specs import PACKAGED, EncoderSpec
from sista.errors import UserError
from sista.files import sha256
from sista.importers._files import read_tensors

COUNTERS = "num_batches_tracked"
# Blocks of each stage of EfficientNet-Lite0; the first stage's do not expand.
STAGES = (1, 2, 2, 3, 3, 4, 1)
_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_TOP |= {"_fc": "classifier"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw"}
_SEPARABLE |= {"_bn2": "bn2"}
_INVERTED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw"}
_INVERTED |= {"_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}


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
    return _filled(path, read_tensors(path), spec, {"path": str(path)})


def encoder_of_package(spec: EncoderSpec) -> tuple[ImageEncoder, dict[str, Any]]:
    """Return an encoder with the weights that an installed package carries, and their source.

    The package's own code is not run: its file is found beside it and read as any other one.

    Raises:
        UserError: the package is not installed, or its file is another one than expected.
    """
    module = spec.initial_weights.removeprefix(PACKAGED)
    package = module.replace("_", "-")
    found = importlib.util.find_spec(module)
    folder = Path(found.origin).parent if found and found.origin else None
    files = sorted(folder.glob("models/*.pth")) if folder else []
    if len(files) != 1:
        raise UserError(
            f"encoder {spec.word}: the package {package} with its weights is not installed; run "
            "make env"
        )
    tensors = {_timm_key(key): value for key, value in read_tensors(files[0]).items()}
    source = {"package": package, "version": metadata.version(package)}
    return _filled(files[0], tensors, spec, source)


def _timm_key(key: str) -> str:
    """Return timm's name of a key of the EfficientNet of `efficientnet_pytorch`."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(.+)", key)
    if block is None:
        part, _, rest = key.partition(".")
        return f"{_TOP.get(part, part)}.{rest}"
    number, part, rest = int(block[1]), block[2], block[3]
    stage = 0
    while stage < len(STAGES) - 1 and number >= STAGES[stage]:
        number -= STAGES[stage]
        stage += 1
    names = _INVERTED if stage else _SEPARABLE
    return f"blocks.{stage}.{number}.{names.get(part, part)}.{rest}"


def _filled(
    path: Path, tensors: Mapping[str, Tensor], spec: EncoderSpec, source: dict[str, Any]
) -> tuple[ImageEncoder, dict[str, Any]]:
    name = ".".join(part for part in (spec.timm_name, spec.initial_weights) if part)
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
    return encoder.eval(), source | {"sha256": sha256(path), "left_out": left_out}


def _unfit(value: Tensor, wanted: Tensor) -> str | None:
    """Return why a tensor cannot stand for another, or None."""
    if value.shape != wanted.shape:
        return f"{tuple(value.shape)}, needed {tuple(wanted.shape)}"
    return None if bool(torch.isfinite(value).all()) else "holds NaN or infinity"
