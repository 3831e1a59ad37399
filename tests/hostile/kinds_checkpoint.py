"""Damaged checkpoints: valid safetensors with other tensors and metadata, and broken headers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tests.hostile.kinds_files import Damage
from tests.hostile.kinds_parquet import nested

Tensors = dict[str, Tensor]


def tensors(change: Callable[[Tensors], Tensors]) -> Damage:
    """Return a damage of the tensors; the metadata stays."""

    def damage(path: Path) -> None:
        with safe_open(path, "pt") as file:
            found, known = {k: file.get_tensor(k) for k in file.keys()}, file.metadata()  # noqa: SIM118
        save_file(change(found), path, metadata=known)

    return damage


def raw_meta(known: dict[str, str] | None) -> Damage:
    def damage(path: Path) -> None:
        with safe_open(path, "pt") as file:
            found = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        save_file(found, path, metadata=known)

    return damage


def meta(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Return a damage of the JSON in the metadata."""

    def damage(path: Path) -> None:
        with safe_open(path, "pt") as file:
            known = json.loads(file.metadata()["sista"])
        raw_meta({"sista": json.dumps(change(known))})(path)

    return damage


def put(name: str, value: Any) -> Damage:
    return meta(lambda known: {**known, name: value})


def encoder(name: str, value: Any) -> Damage:
    """Return a damage of the description of the image encoder."""
    return meta(lambda known: {**known, "image_encoder": {**known["image_encoder"], name: value}})


def argument(name: str, value: Any) -> Damage:
    def change(known: dict[str, Any]) -> dict[str, Any]:
        described = known["image_encoder"]
        described["arguments"] = {**described["arguments"], name: value}
        return known

    return meta(change)


def _header(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Return a damage of the header's JSON; the data behind it stay."""

    def damage(path: Path) -> None:
        data = path.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        text = json.dumps(change(json.loads(data[8:end]))).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])

    return damage


def _length(value: int) -> Damage:
    return lambda path: (
        (path.write_bytes(value.to_bytes(8, "little") + path.read_bytes()[8:]) and None) or None
    )


def _of_first(change: Callable[[dict[str, Any]], None]) -> Damage:
    def edit(header: dict[str, Any]) -> dict[str, Any]:
        name = next(n for n in header if n != "__metadata__")
        change(header[name])
        return header

    return _header(edit)


def _each(change: Callable[[Tensor], Tensor]) -> Damage:
    return tensors(lambda found: {k: change(v).contiguous() for k, v in found.items()})


def _heads_of(value: float) -> Callable[[Tensors], Tensors]:
    """Return a change that makes all weights of the projections one finite number."""
    return lambda found: {
        k: torch.full_like(v, value) if "_head." in k and v.is_floating_point() else v
        for k, v in found.items()
    }


# Of any safetensors file.
CONTAINER: dict[str, Damage] = {
    "header length 0": _length(0),
    "header length huge": _length(2**63 - 1),
    "header of lists": _header(lambda header: [1]),
    "header nested deeply": lambda path: (
        (
            path.write_bytes((200_001).to_bytes(8, "little") + nested()[:200_000].encode() + b"}")
            and None
        )
        or None
    ),
    "offsets outside": _of_first(lambda each: each.update(data_offsets=[0, 2**40])),
    "offsets negative": _of_first(lambda each: each.update(data_offsets=[-8, 8])),
    "shape too large": _of_first(lambda each: each.update(shape=[2**40])),
    "an unknown type": _of_first(lambda each: each.update(dtype="F1")),
    "no tensor": tensors(lambda found: {}),
}
# Of a checkpoint of ours.
CHECKPOINT: dict[str, Damage] = {
    "no metadata": raw_meta(None),
    "other metadata": raw_meta({"format": "pt"}),
    "metadata no JSON": raw_meta({"sista": "{"}),
    "metadata a list": raw_meta({"sista": "[1]"}),
    "metadata null": raw_meta({"sista": "null"}),
    "metadata nested deeply": raw_meta({"sista": nested()}),
    "metadata of a newer version": put("version", 999),
    "metadata all null": meta(lambda known: dict.fromkeys(known)),
    "metadata all numbers": meta(lambda known: dict.fromkeys(known, 7)),
    "metadata all text": meta(lambda known: dict.fromkeys(known, "x")),
    "a tensor missing": tensors(lambda found: dict(list(found.items())[1:])),
    "a tensor more": tensors(lambda found: {**found, "image.more": torch.zeros(2)}),
    "tensors of other shapes": _each(lambda v: v[..., :1] if v.ndim else v),
    "tensors of one more axis": _each(lambda v: v[None]),
    "tensors of numbers as bytes": _each(lambda v: v.to(torch.uint8)),
    "tensors of half size": _each(lambda v: v.half() if v.is_floating_point() else v),
    "tensors of NaN": _each(lambda v: v * float("nan") if v.is_floating_point() else v),
    "tensors of infinity": _each(lambda v: v + float("inf") if v.is_floating_point() else v),
    "no image encoder": meta(
        lambda known: {k: v for k, v in known.items() if k != "image_encoder"}
    ),
    "an encoder of a hub": encoder("timm_name", "hf-hub:someone/evil"),
    "an encoder of a folder": encoder("timm_name", "local-dir:/tmp"),
    "an encoder that is unknown": encoder("timm_name", "no_such_model"),
    "an encoder of another architecture": encoder("timm_name", "vit_tiny_patch16_224"),
    "an encoder that is huge": encoder("timm_name", "vit_giant_patch14_224"),
    "an encoder with an unknown field": encoder("more", 1),
    "initial weights of a hub": encoder("initial_weights", "a1_in1k"),
    "a report encoder of a hub": encoder("text", "someone/evil"),
    "a report encoder of a folder": encoder("text", "../../.."),
    "size 0": encoder("size", 0),
    "size negative": encoder("size", -64),
    "size huge": encoder("size", 10**9),
    "size a text": encoder("size", "64"),
    "std 0": encoder("std", 0.0),
    "mean of two numbers": encoder("mean", [0.5, 0.5]),
    "mean a text": encoder("mean", "x"),
    "mean NaN": encoder("mean", float("nan")),
    "arguments a list": encoder("arguments", [1]),
    "an argument unknown": argument("no_such_argument", 1),
    "an argument that downloads": argument("pretrained", True),
    "an argument that reads a file": argument("checkpoint_path", "/etc/passwd"),
    "an argument that imports": argument("act_layer", "os.system"),
    "channels negative": argument("channels", [-1, 2, 3, 4]),
    "channels huge": argument("channels", [10**7] * 4),
    "stages unknown": argument("stages", 99),
    "a word that is a path": put("word", "../../x"),
    "a variant that is a command": put("variant", "$(touch CANARY)"),
    "a corpus that is markup": put("corpus", "</script>\x1b[2J"),
    "a seed of 2^70": put("seed", 2**70),
    "a plateau of control characters": put("plateau", "\x1b[2J"),
    "another family": put("family", "elephant"),
    "settings of another hash": put("settings_hash", "0" * 12),
}
# Only of a checkpoint whose texts are read.
TEXT: dict[str, Damage] = {
    "no tokenizer": put("tokenizer", None),
    "a tokenizer no JSON": put("tokenizer", "{"),
    "a tokenizer of a number": put("tokenizer", 7),
    "a tokenizer nested deeply": put("tokenizer", nested()),
    "a method unknown": put("method", "no_such_method"),
    "a method of a path": put("method", "../../evil"),
    "a method of a module": put("method", "os"),
    "settings unknown": put("settings", {"no_such_setting": 1}),
    "settings a list": put("settings", [1]),
    "settings of another type": put("settings", {"theta": "x"}),
    "settings out of range": put("settings", {"theta": 9.0}),
    "settings NaN": put("settings", {"theta": float("nan")}),
    "a budget unknown": put("budget", "no_such_budget"),
    "a module unknown": tensors(lambda found: {**found, "evil.more": torch.zeros(2)}),
    "a tensor of no module": tensors(lambda found: {**found, "more": torch.zeros(2)}),
    "weights of 3e38": tensors(_heads_of(3e38)),
}
