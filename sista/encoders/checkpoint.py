"""Checkpoints: one safetensors file with weights, settings and provenance. Nothing is unpickled."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

import timm
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec, Family
from sista.errors import UserError, check_version
from sista.files import atomic, digest, reading, sha256
from sista.metadata import Meta

VERSION = 1
AGAIN = "run pretrain again, or `sista import`"
FAMILIES = get_args(Family)
# Of widths, depths and sides in pixels.
LARGEST = 10_000


def save_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], metadata: Mapping[str, Any]
) -> None:
    """Write the weights of `modules` (prefixed by their names) and JSON metadata, atomically.

    Metadata without a settings_hash get that of their method and settings.
    """
    state: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            # safetensors takes neither shared memory nor other strides (channels last).
            state[f"{name}.{key}"] = value.detach().cpu().contiguous().clone()
    # One key: safetensors writes several in random order, and equal runs shall give equal files.
    hashed = {"settings_hash": _settings_hash(metadata)}
    text = json.dumps({**hashed, **metadata, "version": VERSION}, sort_keys=True, default=str)
    with atomic(path) as temporary:
        save_file(state, temporary, metadata={"sista": text})


def read_metadata(path: Path) -> Meta:
    """Return the metadata of a checkpoint without reading its weights."""
    return _open(path, weights=False)[1]


def load_state(path: Path, module: str) -> dict[str, Tensor]:
    """Return the weights of one module of a checkpoint, with the prefix taken off."""
    state, _ = _open(path, weights=True)
    prefix = f"{module}."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def check_modules(path: Path, known: Collection[str]) -> None:
    """Refuse weights of a module that this version does not know: what they do is unknown too."""
    state, _ = _open(path, weights=True)
    if unknown := sorted({key.partition(".")[0] for key in state} - set(known)):
        raise UserError(f"{path}: weights of unknown modules {unknown[:3]}; {AGAIN}")


def load_image_encoder(path: Path) -> tuple[ImageEncoder, Meta]:
    """Return the image encoder of a checkpoint in eval mode, and the metadata.

    Raises:
        UserError: the file is missing, not safetensors, or its weights do not fit.
    """
    metadata, state = read_metadata(path), load_state(path, "image")
    description = metadata["image_encoder"]
    try:
        spec = _described(description)
        # First without memory: what a file describes must not be larger than what it holds.
        with torch.device("meta"):
            wanted = ImageEncoder(spec).state_dict()
    except Exception as error:  # timm's models raise many kinds on what fits nothing
        raise UserError(f"{path}: its image encoder cannot be built ({error}); {AGAIN}") from error
    if metadata.get("family", spec.family) != spec.family:
        raise UserError(f"{path}: says it is of another family than its encoder; {AGAIN}")
    check_weights(path, f"encoder {spec.word}", wanted, state)
    encoder = ImageEncoder(spec)
    encoder.load_state_dict(state)
    return encoder.eval(), metadata


def check_weights(
    path: Path, what: str, wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> None:
    """Refuse weights that are not those of a model.

    Args:
        path: of their file.
        what: the model, in words.
        wanted: tensors of the model, which may be without memory.
        state: what the file holds.

    Raises:
        UserError: names keys that are missing, unexpected, of another shape or no finite numbers.
    """
    missing = sorted(k for k, v in wanted.items() if k not in state or state[k].shape != v.shape)
    unexpected = sorted(set(state) - set(wanted))
    if missing or unexpected:
        raise UserError(
            f"{path}: weights do not fit {what}: missing or of another shape {missing[:3]}, "
            f"unexpected {unexpected[:3]}; {AGAIN}"
        )
    for key, value in state.items():
        if value.dtype != wanted[key].dtype or not value.isfinite().all():
            raise UserError(f"{path}: {key} holds no finite numbers of 32 bits; {AGAIN}")


def _described(description: Any) -> EncoderSpec:
    """Return the encoder that a file describes; one that would read another file is refused."""
    spec = EncoderSpec(**description)
    # timm takes `hf-hub:` and `local-dir:` names as well, and arguments that name files.
    if spec.family not in FAMILIES or not timm.is_model(spec.timm_name):
        raise ValueError(f"unknown architecture {spec.timm_name!r}")
    for name, value in spec.arguments.items():
        plain = all(isinstance(each, bool | int | float | str) for each in _listed(value))
        if name.startswith(("pretrained", "checkpoint", "cache", "features")) or not plain:
            raise ValueError(f"argument {name!r} is not one of an architecture")
        if any(isinstance(each, int) and abs(each) > LARGEST for each in _listed(value)):
            raise ValueError(f"argument {name!r} is above {LARGEST}")
    if not 0 < spec.size <= LARGEST:
        raise ValueError(f"size {spec.size}")
    if spec.arguments.get("stages", 4) not in (3, 4):
        raise ValueError(f"stages {spec.arguments['stages']}")
    if not all(map(math.isfinite, (*spec.means, *spec.stds))) or min(spec.stds) <= 0:
        raise ValueError("mean and std of its pixels")
    return spec


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def load_released(template: str, word: str) -> tuple[ImageEncoder, dict[str, Any]]:
    """Return the encoder that `sista import` made, in eval mode, and what it was made from.

    Args:
        template: its path; `{encoder}` becomes the encoder's word.
        word: of the encoder that the grid asks for.

    Raises:
        UserError: the file is missing, no import, or another kind of encoder.
    """
    path = Path(template.replace("{encoder}", word))
    if not path.is_file():
        shown = str(path)[:200]
        raise UserError(
            f"weights {shown}: no such file; make it with `sista import WORD FILE --out {shown}` "
            "(`sista list importers` shows the words)"
        )
    encoder, metadata = load_image_encoder(path)
    if "released" not in metadata:
        raise UserError(
            f"{path}: not made by `sista import`, but by method {metadata['method']}; import "
            "released weights, or name that method in the grid"
        )
    if encoder.word != word:
        raise UserError(
            f"{path}: is a {encoder.word}, the grid asks for {word}; write `{{encoder}}` in the "
            "path and have a file for each encoder, or take this encoder out of the grid"
        )
    return encoder, metadata["released"] | {"path": str(path), "encoder_sha256": sha256(path)}


def _open(path: Path, weights: bool) -> tuple[dict[str, Tensor], Meta]:
    with reading(path, AGAIN), safe_open(path, framework="pt") as file:
        metadata = Meta.parsed(path, (file.metadata() or {}).get("sista", ""))
        check_version(path, metadata.get("version", VERSION), VERSION)
        metadata.check("checkpoint")
        if metadata.get("settings_hash") not in (None, "", _settings_hash(metadata)):
            raise UserError(f"{path}: its settings are not those of its settings_hash; {AGAIN}")
        keys = file.keys() if weights else ()
        return {key: file.get_tensor(key) for key in keys}, metadata


def _settings_hash(metadata: Mapping[str, Any]) -> str:
    return digest({"method": metadata.get("method", ""), **metadata.get("settings", {})})
