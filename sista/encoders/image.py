"""Image encoders: a timm model that gives one pooled feature and a pyramid of feature maps."""

from dataclasses import asdict
from itertools import pairwise
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from sista.encoders.specs import EncoderSpec, Family
from sista.errors import UserError
from sista.text.hub import reach


class ImageFeatures(NamedTuple):
    """What an image encoder gives for a batch.

    Attributes:
        pooled: `[B, D]`, [CLS] token or average of the last layer, as the timm model pools.
        maps: ResNet: C2 to C5, `[B, C_i, h_i, w_i]` at strides 4 to 32; ViT: one map of the last
            block's tokens.
        attention: `[B, P]` attention of [CLS] to each patch in the last block, mean over heads,
            without gradient; None where there is no [CLS] or it was not asked for.
        tokens: ViT: `[B, 1 + P, D]` all tokens of the last block.
    """

    pooled: Tensor
    maps: tuple[Tensor, ...]
    attention: Tensor | None = None
    tokens: Tensor | None = None


class ImageEncoder(nn.Module):
    """A timm model behind one interface for both families.

    Args:
        spec: architecture, input size and normalisation.
        pretrained: start from timm's released weights `spec.initial_weights`.

    Raises:
        UserError: released weights are asked for and cannot be had.
    """

    def __init__(self, spec: EncoderSpec, pretrained: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.word = spec.word
        self.family: Family = spec.family
        self.size = spec.size
        self.mean = spec.means
        self.std = spec.stds
        self.standardise = spec.standardise
        arguments = dict(spec.arguments)
        if spec.family == "vit":
            arguments["img_size"] = spec.size
        if arguments.pop("conv_stem", False):
            arguments["embed_layer"] = ConvStem
        stages = arguments.pop("stages", 4)
        # timm's models share no typed interface.
        self.body: Any = _create(spec, arguments, pretrained)
        if stages == 3:
            _cut_last_stage(self.body)
        self.dim: int = self.body.num_features
        self.map_channels: tuple[int, ...]
        self.map_strides: tuple[int, ...]
        if spec.family == "resnet":
            info = self.body.feature_info[-4:]
            self.map_channels = tuple(int(i["num_chs"]) for i in info)
            self.map_strides = tuple(int(i["reduction"]) for i in info)
        else:
            self.map_channels = (self.dim,)
            self.map_strides = (self.body.patch_embed.patch_size[0],)

    def forward(self, images: Tensor, *, attention: bool = False) -> ImageFeatures:
        """Encode normalised images `[B, 3, S, S]`, on request with the attention of [CLS]."""
        if self.family == "resnet":
            # Of a ResNet the last map itself; an EfficientNet has one more convolution on it.
            last, maps = self.body.forward_intermediates(images)
            # Transformers with a pyramid (Swin) have the channels of their last map at its end.
            places = (2, 3) if last.shape[1] == self.dim else (1, 2)
            return ImageFeatures(last.mean(places), tuple(maps[-4:]))
        prefix, looks = self.body.num_prefix_tokens, None
        if attention and self.body.has_class_token:
            # The fused kernel gives no weights: one query is worked out again from its input, which
            # is what the block before gives.
            tokens, inputs = self.body.forward_intermediates(
                images,
                indices=[len(self.body.blocks) - 2],
                output_fmt="NLC",
                return_prefix_tokens=True,
            )
            patches, special = inputs[0]
            last = self.body.blocks[-1]
            with torch.no_grad():
                seen = last.norm1(torch.cat((special, patches), dim=1))
                looks = _cls_attention(last.attn, seen)[:, prefix:]
        else:
            tokens = self.body.forward_features(images)
        patches = tokens[:, prefix:]
        side = images.shape[-1] // self.map_strides[0]
        grid = patches.transpose(1, 2).unflatten(2, (side, side))
        pooled = tokens[:, 0] if self.body.global_pool == "token" else patches.mean(1)
        return ImageFeatures(pooled, (grid,), looks, tokens)

    def patch_map(self, stride: int = 16) -> int:
        """Return the index of the map whose cells are the patches of local objectives.

        Args:
            stride: of a ResNet's map: 16 (C4, as GLoRIA and MGCA) or 8; a ViT has one map.
        """
        return self.map_strides.index(stride) if self.family == "resnet" else 0

    @property
    def has_batch_norms(self) -> bool:
        """Whether running statistics of training images decide the features."""
        return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.body.modules())

    def description(self) -> dict[str, object]:
        """Return what is needed to build this encoder again."""
        return asdict(self.spec)


class ConvStem(nn.Module):
    """Patch embedding of a ViT by small convolutions instead of one large one.

    Without it a ViT of this size learns nothing from scratch in minutes (Xiao et al. 2021, "Early
    Convolutions Help Transformers See Better").

    Args:
        img_size: side of the input in pixels.
        patch_size: a power of two; one convolution of stride 2 for each factor.
        in_chans: input channels.
        embed_dim: width of the tokens.
        unused: what timm passes to every patch embedding.
    """

    def __init__(
        self, img_size: int, patch_size: int, in_chans: int, embed_dim: int, **unused: object
    ) -> None:
        super().__init__()
        self.patch_size = (patch_size, patch_size)
        self.num_patches = (img_size // patch_size) ** 2
        steps = patch_size.bit_length() - 1
        widths = [in_chans, *(embed_dim >> (steps - n) for n in range(1, steps + 1))]
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            convolution = nn.Conv2d(inner, outer, 3, stride=2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(*layers, nn.Conv2d(embed_dim, embed_dim, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens `[B, P, D]` of images `[B, 3, S, S]`."""
        tokens: Tensor = self.stem(images).flatten(2).transpose(1, 2)
        return tokens


def _cls_attention(layer: Any, tokens: Tensor) -> Tensor:
    """Work out one row of an attention layer, `[B, N]`; the layer itself stays fused."""
    query, key, _ = layer.qkv(tokens).unflatten(-1, (3, layer.num_heads, -1)).unbind(2)
    query = layer.q_norm(query[:, :1].transpose(1, 2)) * layer.scale
    key = layer.k_norm(key.transpose(1, 2))
    scores: Tensor = (query @ key.transpose(2, 3)).squeeze(2).float()
    return scores.softmax(-1).mean(1)


def _cut_last_stage(body: Any) -> None:
    """Replace C5 of a ResNet by C4 averaged over 2×2 (stride 32), for releases without `layer4`.

    The pooled feature is then the average of C4 wherever its sides are even.
    """
    body.layer4 = nn.AvgPool2d(2)
    body.feature_info[-1] = body.feature_info[-1] | {"num_chs": body.feature_info[-2]["num_chs"]}
    body.num_features = body.feature_info[-2]["num_chs"]


def _create(spec: EncoderSpec, arguments: dict[str, Any], pretrained: bool) -> Any:
    name = spec.timm_name
    if not pretrained:
        return timm.create_model(name, num_classes=0, **arguments)
    if not spec.initial_weights:
        raise UserError(
            f"encoder {spec.word}: names no released weights; "
            "leave the variant `imagenet` out of the grid or use resnet50 or vit_base; a model of "
            "timm has them under its name with a tag, e.g. resnet18.a1_in1k"
        )
    reach()
    try:
        return timm.create_model(
            f"{name}.{spec.initial_weights}", pretrained=True, num_classes=0, **arguments
        )
    except Exception as error:
        # The hub client raises many kinds of errors; all mean that the weights cannot be had.
        raise UserError(
            f"encoder {spec.word}: the weights {name}.{spec.initial_weights} could not be loaded "
            f"({type(error).__name__}); download them once with network access, or set HF_HOME to "
            "a folder that holds them"
        ) from error


def normalise(images: Tensor, encoder: ImageEncoder) -> Tensor:
    """Turn grey images in [0, 255] `[B, S, S]` into the encoder's input `[B, 3, S, S]`."""
    grey = images.to(torch.float32).unsqueeze(1)
    if encoder.standardise:
        return standardised(grey / 255.0)
    if len(set(encoder.mean)) == len(set(encoder.std)) == 1:
        mean, std = 255.0 * encoder.mean[0], 255.0 * encoder.std[0]
        # Three channels in the memory of one.
        return grey.sub(mean).div_(std).expand(-1, 3, -1, -1)
    shape = (1, 3, 1, 1)
    # Filled on the device: to bring numbers there from the host is a wait.
    means, stds = (
        torch.stack([grey.new_full((), value) for value in values]).view(shape)
        for values in (encoder.mean, encoder.std)
    )
    return (grey - 255.0 * means) / (255.0 * stds)


def standardised(pixels: Tensor) -> Tensor:
    """Give each image `[B, 1, S, S]` in [0, 1] zero mean and unit variance, in three channels.

    A film with hardly any contrast (standard deviation below 0.02) is not blown up.
    """
    sd, mean = torch.std_mean(pixels, (1, 2, 3), keepdim=True)
    return ((pixels - mean) / sd.clamp_min(0.02)).expand(-1, 3, -1, -1)
