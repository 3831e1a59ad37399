"""Key rules of the architectures that releases are made of, into the names of timm. No torch here.

The targets `attn.q`, `attn.k` and `attn.v` are joined to timm's one `attn.qkv`, in this order.
"""

import re

from sista.encoders.specs import EncoderSpec
from sista.importers._card import Rules

HALF = 0.5
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

RESNET50 = EncoderSpec("resnet50", "resnet", "resnet50", 224)
VIT_BASE = EncoderSpec("vit_base", "vit", "vit_base_patch16_224", 224)

_LAYER = r"\.(\d+)\."
_ENDS = r"\.(weight|bias)"


def resnet(prefix: str = "") -> Rules:
    """Return the rules of torchvision's ResNet below a prefix; its names are those of timm.

    Read from pytorch/vision torchvision/models/resnet.py, release 0.29.1.
    """
    return ((re.escape(prefix) + r"((?:conv1|bn1|layer[1-4])\..+)", r"\1"),)


def resnet_children(prefix: str) -> Rules:
    """Return the rules of `nn.Sequential(*resnet.children())`: numbers instead of names.

    torchvision registers conv1, bn1, relu, maxpool, layer1 to layer4, avgpool, fc in this order
    (same file as `resnet`).
    """
    names = {0: "conv1", 1: "bn1", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}
    return tuple(
        (re.escape(prefix) + rf"{number}\.(.+)", rf"{name}.\1") for number, name in names.items()
    )


def timm_vit(prefix: str = "") -> Rules:
    """Return the rules of a ViT that is named as timm's, DeiT's and MAE's are.

    Read from huggingface/pytorch-image-models timm/models/vision_transformer.py, release 1.0.31.
    """
    names = r"(cls_token|pos_embed|(?:patch_embed|norm_pre|norm)\..+|blocks\.\d+\..+)"
    return ((re.escape(prefix) + names, r"\1"),)


def openai_clip(prefix: str = "visual.") -> Rules:
    """Return the rules of the image tower of OpenAI's CLIP (and of OpenCLIP's own ViT).

    Read from rajpurkarlab/CheXzero model.py (a copy of OpenAI's) at
    a2eb643d3f660e29c7c2a9ad615375681497d96a. `in_proj` holds query, key and value in this order.
    """
    head = re.escape(prefix)
    block = head + r"transformer\.resblocks" + _LAYER
    return (
        (head + "class_embedding", "cls_token"),
        (head + "positional_embedding", "pos_embed"),
        (head + r"conv1\.weight", "patch_embed.proj.weight"),
        (head + "ln_pre" + _ENDS, r"norm_pre.\1"),
        (head + "ln_post" + _ENDS, r"norm.\1"),
        (block + "ln_([12])" + _ENDS, r"blocks.\1.norm\2.\3"),
        (block + "attn.in_proj_(weight|bias)", r"blocks.\1.attn.qkv.\2"),
        (block + r"attn\.out_proj" + _ENDS, r"blocks.\1.attn.proj.\2"),
        (block + r"mlp\.c_fc" + _ENDS, r"blocks.\1.mlp.fc1.\2"),
        (block + r"mlp\.c_proj" + _ENDS, r"blocks.\1.mlp.fc2.\2"),
    )


def transformers_clip(prefix: str = "vision_model.") -> Rules:
    """Return the rules of CLIP's image tower in transformers (`pre_layrnorm` is spelt so there).

    Read from huggingface/transformers src/transformers/models/clip/modeling_clip.py, release
    5.23.0.
    """
    head = re.escape(prefix)
    block = head + r"encoder\.layers" + _LAYER
    return (
        (head + r"embeddings\.class_embedding", "cls_token"),
        (head + r"embeddings\.position_embedding\.weight", "pos_embed"),
        (head + r"embeddings\.patch_embedding\.weight", "patch_embed.proj.weight"),
        (head + "pre_layrnorm" + _ENDS, r"norm_pre.\1"),
        (head + "post_layernorm" + _ENDS, r"norm.\1"),
        (block + "layer_norm([12])" + _ENDS, r"blocks.\1.norm\2.\3"),
        (block + r"self_attn\.([qkv])_proj" + _ENDS, r"blocks.\1.attn.\2.\3"),
        (block + r"self_attn\.out_proj" + _ENDS, r"blocks.\1.attn.proj.\2"),
        (block + r"mlp\.fc([12])" + _ENDS, r"blocks.\1.mlp.fc\2.\3"),
    )


def transformers_dinov2(prefix: str = "") -> Rules:
    """Return the rules of DINOv2 in transformers.

    Read from huggingface/transformers src/transformers/models/dinov2/convert_dinov2_to_hf.py at
    06fefc4d4fec6025a798bfac282af3a3884a11fc.
    """
    head = re.escape(prefix)
    block = head + r"encoder\.layer" + _LAYER
    attention = block + r"attention\.attention\."
    return (
        (head + r"embeddings\.cls_token", "cls_token"),
        (head + r"embeddings\.position_embeddings", "pos_embed"),
        (head + r"embeddings\.patch_embeddings\.projection" + _ENDS, r"patch_embed.proj.\1"),
        (head + "layernorm" + _ENDS, r"norm.\1"),
        (block + "norm([12])" + _ENDS, r"blocks.\1.norm\2.\3"),
        (attention + "query" + _ENDS, r"blocks.\1.attn.q.\2"),
        (attention + "key" + _ENDS, r"blocks.\1.attn.k.\2"),
        (attention + "value" + _ENDS, r"blocks.\1.attn.v.\2"),
        (block + r"attention\.output\.dense" + _ENDS, r"blocks.\1.attn.proj.\2"),
        (block + r"layer_scale([12])\.lambda1", r"blocks.\1.ls\2.gamma"),
        (block + r"mlp\.fc([12])" + _ENDS, r"blocks.\1.mlp.fc\2.\3"),
    )
