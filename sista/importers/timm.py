"""timm's ViT-B/16 and ResNet-50 as files, or any of that shape saved in its names."""

from dataclasses import replace

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import IMAGENET_MEAN, IMAGENET_STD, RESNET50, VIT_BASE, resnet, timm_vit

timm = Card(
    word="timm",
    title="ViT-B/16 (mean 0.5) or ResNet-50 (ImageNet mean) of timm",
    paper="Wightman 2019, PyTorch Image Models",
    licence="Apache-2.0 (code)",
    corpus="imagenet",
    layouts=(
        Layout(
            "vit_base",
            "patch_embed.proj.weight",
            VIT_BASE,
            timm_vit(),
            (r"head\..+",),
            side=16,
        ),
        Layout(
            "resnet50",
            "conv1.weight",
            replace(RESNET50, mean=IMAGENET_MEAN, std=IMAGENET_STD),
            resnet(),
            (r"fc\..+",),
        ),
    ),
    sources=(
        Source(
            "huggingface/pytorch-image-models",
            "timm/models/vision_transformer.py",
            "release 1.0.31",
            "names; mean 0.5 and std 0.5 of vit_base_patch16_224.augreg_in21k",
        ),
    ),
)
