"""Checkpoints: one safetensors file with weights, settings and provenance. Nothing is unpickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.errors import UserError
from sista.files import atomic, sha256


def save_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], metadata: Mapping[str, Any]
) -> None:
    """Write the weights of `modules` (prefixed by their names) and JSON metadata, atomically."""
    state: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            # safetensors takes neither shared memory nor other strides (channels last).
            state[f"{name}.{key}"] = value.detach().cpu().contiguous().clone()
    # One key: safetensors writes several in random order, and equal runs shall give equal files.
    text = json.dumps(dict(metadata), sort_keys=True, default=str)
    with atomic(path) as temporary:
        save_file(state, temporary, metadata={"sista": text})


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a checkpoint without reading its weights."""
    return _open(path, weights=False)[1]


def load_state(path: Path, module: str) -> dict[str, Tensor]:
    """Return the weights of one module of a checkpoint, with the prefix taken off."""
    state, _ = _open(path, weights=True)
    prefix = f"{module}."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def load_image_encoder(path: Path) -> tuple[ImageEncoder, dict[str, Any]]:
    """Return the image encoder of a checkpoint in eval mode, and the metadata.

    Raises:
        UserError: the file is missing, not safetensors, or its weights do not fit.
    """
    metadata = read_metadata(path)
    description = dict(metadata["image_encoder"])
    encoder = ImageEncoder(EncoderSpec(**description))
    missing, unexpected = encoder.load_state_dict(load_state(path, "image"), strict=False)
    if missing or unexpected:
        raise UserError(
            f"{path}: weights do not fit encoder {encoder.word}: missing {missing[:3]}, "
            f"unexpected {unexpected[:3]}"
        )
    return encoder.eval(), metadata


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
        raise UserError(
            f"{path}: no such file; make it with `sista import WORD FILE --out {path}` "
            "(`sista list importers` shows the words)"
        )
    encoder, metadata = load_image_encoder(path)
    if "released" not in metadata:
        raise UserError(f"{path}: not made by `sista import`, but by method {metadata['method']}")
    if encoder.word != word:
        raise UserError(
            f"{path}: is a {encoder.word}, the grid asks for {word}; write `{{encoder}}` in the "
            "path and have a file for each encoder, or take this encoder out of the grid"
        )
    return encoder, metadata["released"] | {"path": str(path), "encoder_sha256": sha256(path)}


def _open(path: Path, weights: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})["sista"])
            keys = file.keys() if weights else ()
            return {key: file.get_tensor(key) for key in keys}, metadata
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; run pretrain first") from error
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not a checkpoint of this project ({error})") from error
