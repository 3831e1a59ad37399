"""From a release's tensors to an encoder of this project, with an account of every key."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor

from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.errors import UserError
from sista.importers._card import Card, Layout

_JOINED = re.compile(r"(.+\.attn)\.([qkv])\.(weight|bias)")


@dataclass
class Report:
    """What became of every key.

    Attributes:
        word: of the release.
        layout: that was recognised.
        renamed: key of the encoder by key of the file.
        joined: key of the encoder to the keys it was joined from, in order.
        changed: key of the encoder to what was done to its tensor.
        left_out: keys of the file that the card knows not to belong to the encoder.
        unexpected: keys of the file that the card does not know.
        surplus: keys that the layout renames but this architecture does not have.
        missing: keys of the encoder that the file does not have.
        unfitting: key of the encoder to why its tensor cannot be used.
    """

    word: str
    layout: str
    renamed: dict[str, str] = field(default_factory=dict)
    joined: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unfitting: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Return whether the encoder is the release's, whole and nothing else."""
        return not (self.missing or self.surplus or self.unfitting)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-like values."""
        return asdict(self) | {"complete": self.complete}

    def summary(self) -> str:
        """Return the report in a few lines."""
        lines = [f"{self.word}, layout {self.layout}"]
        for name in ("renamed", "joined", "changed", "left_out"):
            lines.append(f"{name.replace('_', ' '):>11}: {len(getattr(self, name))}")
        for name in ("unexpected", "surplus", "missing", "unfitting"):
            keys = getattr(self, name)
            shown = [f"{k} ({keys[k]})" if isinstance(keys, dict) else k for k in keys][:5]
            more = ", ..." if len(keys) > len(shown) else ""
            lines.append(f"{name:>11}: {len(keys)}{': ' if keys else ''}{', '.join(shown)}{more}")
        return "\n".join(lines)


def recognise(card: Card, tensors: Mapping[str, Tensor]) -> Layout:
    """Return the layout of a file.

    Raises:
        UserError: none fits, or the one that fits cannot be imported; names what was looked for.
    """
    for layout in card.layouts:
        tensor = tensors.get(layout.signature)
        if tensor is not None and layout.side in (None, tensor.shape[-1] if tensor.ndim else None):
            if layout.refusal:
                raise UserError(f"{card.word}: {layout.refusal}")
            return layout
    wanted = "; ".join(
        f"{a.signature}{f' of {a.side} px' if a.side else ''} ({a.name})" for a in card.layouts
    )
    raise UserError(
        f"not a file of {card.word}: looked for {wanted}; the file begins with "
        f"{', '.join(sorted(tensors)[:3])}. Another word of `sista list importers` may fit"
    )


def convert(
    tensors: Mapping[str, Tensor], card: Card, layout: Layout, size: int | None = None
) -> tuple[ImageEncoder, Report]:
    """Return the encoder in eval mode and the report; only a complete report's encoder is usable.

    Args:
        tensors: of the file, by key.
        card: of the release.
        layout: of the file.
        size: side of the input in pixels; a ViT's position embedding is resampled (bicubic).
            None = the release's own.
    """
    spec = layout.spec if size is None else replace(layout.spec, size=size)
    _check_size(spec)
    encoder = ImageEncoder(spec)
    report = Report(card.word, layout.name)
    renamed = _rename(tensors, layout, report)
    state: dict[str, Tensor] = {}
    expected = encoder.body.state_dict()
    report.surplus = sorted(set(renamed) - set(expected))
    for key, wanted in expected.items():
        if key in renamed:
            value = _fit(key, renamed[key], wanted, layout, report)
            state[key] = wanted if value is None else value
        elif key.endswith("num_batches_tracked"):
            report.changed[key] = "not in the file; unused in eval mode, kept at 0"
            state[key] = wanted
        else:
            report.missing.append(key)
            state[key] = wanted
    # Strict: every key has been given a tensor, and the report says which are the file's.
    encoder.body.load_state_dict(state)
    return encoder.eval(), report


def _check_size(spec: EncoderSpec) -> None:
    side = re.search(r"patch(\d+)", spec.timm_name)
    # A ResNet halves its input five times: 32 pixels are one cell of the last map.
    patch = int(spec.arguments.get("patch_size") or (side[1] if side else 32))
    if spec.size < patch or (spec.family == "vit" and spec.size % patch):
        raise UserError(f"--size {spec.size}: needs a multiple of {patch} pixels")


def _rename(tensors: Mapping[str, Tensor], layout: Layout, report: Report) -> dict[str, Tensor]:
    """Return the tensors under the encoder's keys; sort the other keys into the report."""
    rules = [(re.compile(pattern), target) for pattern, target in layout.keys]
    left_out = [re.compile(pattern) for pattern in layout.left_out]
    renamed: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    for key in sorted(tensors):
        target = next((m.expand(t) for p, t in rules if (m := p.fullmatch(key))), None)
        if target is not None:
            renamed[target], origin[target] = tensors[key], key
        elif any(pattern.fullmatch(key) for pattern in left_out):
            report.left_out.append(key)
        else:
            report.unexpected.append(key)
    for part in sorted(k for k in renamed if _JOINED.fullmatch(k)):
        match = _JOINED.fullmatch(part)
        # Already joined: the names were listed before the first join took its parts.
        if match is None or part not in renamed:
            continue
        names = [f"{match[1]}.{letter}.{match[3]}" for letter in "qkv"]
        if all(name in renamed for name in names):
            whole = f"{match[1]}.qkv.{match[3]}"
            report.joined[whole] = [origin.pop(name) for name in names]
            renamed[whole] = torch.cat([renamed.pop(name) for name in names])
    report.renamed = {old: new for new, old in origin.items()}
    return renamed


def _fit(key: str, value: Tensor, wanted: Tensor, layout: Layout, report: Report) -> Tensor | None:
    """Return a tensor in the encoder's type and shape, or None where it does not fit."""
    told = []
    if value.dtype != wanted.dtype:
        told.append(f"{value.dtype} to {wanted.dtype}".replace("torch.", ""))
        value = value.to(wanted.dtype)
    if not torch.isfinite(value).all():
        report.unfitting[key] = "holds NaN or infinity"
        return None
    if key == "conv1.weight" and layout.grey != (value.ndim == 4 and value.shape[1] == 1):
        report.unfitting[key] = f"{tuple(value.shape)}: this layout has {1 if layout.grey else 3} "
        report.unfitting[key] += "input channels"
        return None
    if layout.grey and key == "conv1.weight":
        # Three equal channels give three times the response of one.
        value = value.expand(-1, 3, -1, -1) / 3
        told.append("one input channel spread over three")
    # OpenAI's CLIP keeps [CLS] as [D] and positions as [N, D]; timm has [1, 1, D] and [1, N, D].
    if value.shape != wanted.shape and _squeezed(value) == _squeezed(wanted):
        value = value.reshape(wanted.shape)
        told.append("axes of length 1 added")
    if key == "pos_embed" and value.shape != wanted.shape:
        value = _resample(value, wanted, told)
    if value.shape != wanted.shape:
        report.unfitting[key] = f"{tuple(value.shape)}, needed {tuple(wanted.shape)}"
        return None
    if told:
        report.changed[key] = "; ".join(told)
    return value


def _squeezed(tensor: Tensor) -> tuple[int, ...]:
    return tuple(n for n in tensor.shape if n != 1)


def _resample(value: Tensor, wanted: Tensor, told: list[str]) -> Tensor:
    """Return a position embedding `[1, 1 + g², D]` on the encoder's grid, [CLS] untouched."""
    value = value.reshape(1, *value.shape[-2:]) if value.ndim == 2 else value
    # The first token is [CLS] and lies on no grid.
    old, new = round((value.shape[1] - 1) ** 0.5), round((wanted.shape[1] - 1) ** 0.5)
    if value.shape[-1] != wanted.shape[-1] or old * old + 1 != value.shape[1]:
        return value
    told.append(f"resampled from {old}×{old} to {new}×{new} patches")
    # Plain bicubic as DINOv2 and MGCA (vits.py) do it; timm's own default filters as well.
    resampled: Tensor = resample_abs_pos_embed(
        value, new_size=[new, new], num_prefix_tokens=1, antialias=False
    )
    return resampled
