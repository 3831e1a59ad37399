"""Made-up releases: random numbers in a release's keys, and what the original architecture gives.

The reference is a second implementation (torchvision, transformers) with the same numbers.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.resnet import Bottleneck, ResNet
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from sista import registry
from sista.importers._card import Card, Layout

WIDTH, DEPTH, HEADS = 48, 2, 3
SMALL_VIT = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS}
SMALL_RESNET = {"layers": (1, 1, 1, 1)}
SMALL = {
    "hidden_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": HEADS,
    "intermediate_size": 4 * WIDTH,
}


class Release(NamedTuple):
    """A card cut to a small model, its tensors, and the reference's pooled feature and last map."""

    card: Card
    layout: Layout
    tensors: dict[str, Tensor]
    reference: Callable[[Tensor], tuple[Tensor, Tensor]]


@torch.no_grad()
def shaken(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight and statistic a number of its own; initial ones and zeros hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            value.copy_(1 + 0.3 * noise.tanh())
        elif value.ndim == 1 and name.endswith("weight"):
            value.copy_(1 + 0.1 * noise)
        else:
            value.copy_(noise * (0.02 if value.ndim < 2 else value[0].numel() ** -0.5))
    return model.eval()


def card_and_layout(word: str, name: str, small: bool, size: int | None) -> tuple[Card, Layout]:
    card: Card = registry.find("importers", word)
    layout = next(each for each in card.layouts if each.name == name)
    spec = layout.spec
    if small:
        cut = SMALL_RESNET if spec.family == "resnet" else SMALL_VIT
        spec = replace(spec, arguments={**spec.arguments, **cut})
    layout = replace(layout, spec=replace(spec, size=size or spec.size))
    return replace(card, layouts=(layout,)), layout


def of_resnet(word: str, name: str, prefix: str, small: bool = True) -> Release:
    """A release whose encoder is torchvision's ResNet below a prefix."""
    card, layout = card_and_layout(word, name, small, 64)
    model = shaken(ResNet(Bottleneck, [1, 1, 1, 1]) if small else resnet50())
    grey = layout.grey
    if grey:
        model.conv1 = shaken(nn.Conv2d(1, 64, 7, 2, 3, bias=False), 1)
    stages = layout.spec.arguments.get("stages", 4)
    if stages == 3:
        body = nn.Sequential(*list(model.children())[:-3])
        tensors = body.state_dict(prefix=prefix)
    else:
        tensors = model.state_dict(prefix=prefix)

    def reference(images: Tensor) -> tuple[Tensor, Tensor]:
        x = model.maxpool(model.relu(model.bn1(model.conv1(images[:, :1] if grey else images))))
        x = model.layer3(model.layer2(model.layer1(x)))
        if stages == 3:
            return x.mean((2, 3)), nn.functional.avg_pool2d(x, 2)
        x = model.layer4(x)
        return model.avgpool(x).flatten(1), x

    return Release(card, layout, tensors, reference)


def _tokens(tokens: Tensor, mean: bool) -> tuple[Tensor, Tensor]:
    side = round((tokens.shape[1] - 1) ** 0.5)
    patches = tokens[:, 1:]
    grid = patches.transpose(1, 2).unflatten(2, (side, side))
    return patches.mean(1) if mean else tokens[:, 0], grid


def _joined(state: dict[str, Tensor], names: list[str]) -> Tensor:
    return torch.cat([state[name] for name in names])


def of_timm_vit(word: str, name: str, prefix: str, small: bool = True) -> Release:
    """A release whose encoder has timm's names; the reference is transformers' ViT."""
    card, layout = card_and_layout(word, name, small, 64 if small else 224)
    size = layout.spec.size
    config = ViTConfig(
        **(SMALL if small else {}), image_size=size, patch_size=16, layer_norm_eps=1e-6
    )
    model = shaken(ViTModel(config, add_pooling_layer=False))
    model.layernorm.eps = 1e-6
    own = model.state_dict()
    at = "layers" if any(k.startswith("layers.") for k in own) else "encoder.layer"
    tensors = {
        "cls_token": own["embeddings.cls_token"],
        "pos_embed": own["embeddings.position_embeddings"],
    }
    for end in ("weight", "bias"):
        tensors[f"patch_embed.proj.{end}"] = own[f"embeddings.patch_embeddings.projection.{end}"]
        tensors[f"norm.{end}"] = own[f"layernorm.{end}"]
        for n in range(config.num_hidden_layers):
            block, source = f"blocks.{n}", f"{at}.{n}"
            parts = [f"{source}.attention.{x}_proj.{end}" for x in "qkv"]
            tensors[f"{block}.attn.qkv.{end}"] = _joined(own, parts)
            tensors[f"{block}.attn.proj.{end}"] = own[f"{source}.attention.o_proj.{end}"]
            tensors[f"{block}.norm1.{end}"] = own[f"{source}.layernorm_before.{end}"]
            tensors[f"{block}.norm2.{end}"] = own[f"{source}.layernorm_after.{end}"]
            for fc in ("fc1", "fc2"):
                tensors[f"{block}.mlp.{fc}.{end}"] = own[f"{source}.mlp.{fc}.{end}"]
    mean = layout.spec.arguments.get("global_pool") == "avg"
    return Release(
        card,
        layout,
        {prefix + key: value for key, value in tensors.items()},
        lambda images: _tokens(model(images).last_hidden_state, mean),
    )


def of_clip(word: str, name: str, side: int, openai: bool) -> Release:
    """A release whose encoder is CLIP's ViT, in the names of OpenAI or of transformers."""
    card, layout = card_and_layout(word, name, True, 3 * side)
    vision = {**SMALL, "image_size": 3 * side, "patch_size": side, "projection_dim": 8}
    text = {
        **SMALL,
        "vocab_size": 20,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "max_position_embeddings": 7,
        "projection_dim": 8,
    }
    settings = CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    model = shaken(CLIPModel(settings))
    tensors = model.state_dict()
    if openai:
        tensors = _as_openai(tensors)

    def reference(images: Tensor) -> tuple[Tensor, Tensor]:
        tower = model.vision_model
        hidden = tower(images).last_hidden_state
        pooled, grid = _tokens(tower.post_layernorm(hidden), mean=False)
        return pooled, grid

    return Release(card, layout, tensors, reference)


def _as_openai(own: dict[str, Tensor]) -> dict[str, Tensor]:
    head = "vision_model."
    tensors = {
        "visual.class_embedding": own[f"{head}embeddings.class_embedding"],
        "visual.positional_embedding": own[f"{head}embeddings.position_embedding.weight"],
        "visual.conv1.weight": own[f"{head}embeddings.patch_embedding.weight"],
        "visual.proj": own["visual_projection.weight"].T,
        "token_embedding.weight": own["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": own["text_model.embeddings.position_embedding.weight"],
        "text_projection": own["text_projection.weight"].T,
        "logit_scale": own["logit_scale"],
    }
    for end in ("weight", "bias"):
        tensors[f"visual.ln_pre.{end}"] = own[f"{head}pre_layrnorm.{end}"]
        tensors[f"visual.ln_post.{end}"] = own[f"{head}post_layernorm.{end}"]
        tensors[f"ln_final.{end}"] = own[f"text_model.final_layer_norm.{end}"]
        for n in range(DEPTH):
            block, source = f"visual.transformer.resblocks.{n}", f"{head}encoder.layers.{n}"
            parts = [f"{source}.self_attn.{x}_proj.{end}" for x in "qkv"]
            tensors[f"{block}.attn.in_proj_{end}"] = _joined(own, parts)
            tensors[f"{block}.attn.out_proj.{end}"] = own[f"{source}.self_attn.out_proj.{end}"]
            tensors[f"{block}.ln_1.{end}"] = own[f"{source}.layer_norm1.{end}"]
            tensors[f"{block}.ln_2.{end}"] = own[f"{source}.layer_norm2.{end}"]
            tensors[f"{block}.mlp.c_fc.{end}"] = own[f"{source}.mlp.fc1.{end}"]
            tensors[f"{block}.mlp.c_proj.{end}"] = own[f"{source}.mlp.fc2.{end}"]
    return tensors


def of_dinov2(name: str, size: int = 56) -> Release:
    """RAD-DINO; in the names of transformers' files, or in those of DINOv2's own code."""
    card, layout = card_and_layout("rad_dino", name, True, size)
    small = {k: v for k, v in SMALL.items() if k != "intermediate_size"}
    model = shaken(Dinov2Model(Dinov2Config(**small, image_size=size, patch_size=14)))
    own = model.state_dict()
    tensors = {k: v for k, v in own.items() if not k.startswith("encoder.")}
    for key in (k for k in own if k.startswith("encoder.")):
        # transformers 5 renames in memory; released files keep the names of version 4.
        old = key.replace("attention.o_proj", "attention.output.dense")
        for letter, word in zip("qkv", ("query", "key", "value"), strict=True):
            old = old.replace(f"attention.{letter}_proj", f"attention.attention.{word}")
        tensors[old] = own[key]
    if name != "transformers":
        tensors = _as_dinov2(tensors)
    return Release(card, layout, tensors, lambda x: _tokens(model(x).last_hidden_state, mean=False))


def _as_dinov2(own: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = {
        "cls_token": own["embeddings.cls_token"],
        "mask_token": own["embeddings.mask_token"],
        "pos_embed": own["embeddings.position_embeddings"],
    }
    for end in ("weight", "bias"):
        tensors[f"patch_embed.proj.{end}"] = own[f"embeddings.patch_embeddings.projection.{end}"]
        tensors[f"norm.{end}"] = own[f"layernorm.{end}"]
        for n in range(DEPTH):
            block, source = f"blocks.{n}", f"encoder.layer.{n}"
            parts = [f"{source}.attention.attention.{x}.{end}" for x in ("query", "key", "value")]
            tensors[f"{block}.attn.qkv.{end}"] = _joined(own, parts)
            tensors[f"{block}.attn.proj.{end}"] = own[f"{source}.attention.output.dense.{end}"]
            for part in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                tensors[f"{block}.{part}.{end}"] = own[f"{source}.{part}.{end}"]
    for n in range(DEPTH):
        for scale in "12":
            own_key = f"encoder.layer.{n}.layer_scale{scale}.lambda1"
            tensors[f"blocks.{n}.ls{scale}.gamma"] = own[own_key]
    return tensors


RELEASES: dict[str, Callable[[], Release]] = {
    "mgca resnet": lambda: of_resnet("mgca", "resnet50", "img_encoder_q.model."),
    "mgca vit": lambda: of_timm_vit("mgca", "vit_base", "img_encoder_q.model."),
    "gloria": lambda: of_resnet("gloria", "Lightning checkpoint", "gloria.img_encoder.model."),
    "convirt": lambda: of_resnet("convirt", "resnet50", "img_encoder.model."),
    "medklip": lambda: of_resnet("medklip", "resnet50 without layer4", "res_features."),
    "medclip": lambda: of_resnet("medclip", "resnet50", "vision_model.model."),
    "mflag total": lambda: of_resnet("mflag", "total", "encoder."),
    "mflag encoder": lambda: of_resnet("mflag", "encoder", ""),
    "mrm": lambda: of_timm_vit("mrm", "vit_base", ""),
    "prior": lambda: of_resnet("prior", "resnet50, grey", "image_encoder.encoder."),
    "biovil": lambda: of_resnet("biovil", "resnet50", "encoder.encoder."),
    "biomedclip": lambda: of_timm_vit("biomedclip", "vit_base", "visual.trunk."),
    "clip 16": lambda: of_clip("clip", "ViT-B/16", 16, openai=True),
    "clip 32": lambda: of_clip("clip", "ViT-B/32", 32, openai=True),
    "clip transformers": lambda: of_clip("clip", "ViT-B/16, transformers", 16, openai=False),
    "chexzero": lambda: of_clip("chexzero", "ViT-B/32", 32, openai=True),
    "rad_dino": lambda: of_dinov2("transformers"),
    "rad_dino own": lambda: of_dinov2("DINOv2's own code"),
    "torchvision": lambda: of_resnet("torchvision", "resnet50", ""),
    "timm vit": lambda: of_timm_vit("timm", "vit_base", ""),
    "timm resnet": lambda: of_resnet("timm", "resnet50", ""),
}
