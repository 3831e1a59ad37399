"""Checkpoints: one safetensors file with weights, settings and provenance. Nothing is unpickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.errors import UserError, check_version
from sista.files import atomic, reading, sha256
from sista.metadata import Meta

VERSION = 1
AGAIN = "run pretrain again, or `sista import`"


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
    text = json.dumps({**metadata, "version": VERSION}, sort_keys=True, default=str)
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


def load_image_encoder(path: Path) -> tuple[ImageEncoder, Meta]:
    """Return the image encoder of a checkpoint in eval mode, and the metadata.

    Raises:
        UserError: the file is missing, not safetensors, or its weights do not fit.
    """
    metadata = read_metadata(path)
    state = load_state(path, "image")
    # A description or shapes that do not fit end in errors of many kinds.
    with reading(path, AGAIN):
        encoder = ImageEncoder(EncoderSpec(**metadata["image_encoder"]))
        missing, unexpected = encoder.load_state_dict(state, strict=False)
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


def _open(path: Path, weights: bool) -> tuple[dict[str, Tensor], Meta]:
    with reading(path, AGAIN), safe_open(path, framework="pt") as file:
        metadata = Meta.parsed(path, (file.metadata() or {}).get("sista", ""))
        check_version(path, metadata.get("version", VERSION), VERSION)
        metadata.check("checkpoint")
        keys = file.keys() if weights else ()
        return {key: file.get_tensor(key) for key in keys}, metadata
