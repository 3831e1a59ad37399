"""BiomedCLIP: timm's ViT-B/16 inside OpenCLIP."""

from dataclasses import replace

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import CLIP_MEAN, CLIP_STD, VIT_BASE, timm_vit

_PREFIX = "visual.trunk."

biomedclip = Card(
    word="biomedclip",
    title="BiomedCLIP, PubMedBERT and ViT-B/16 on figures of PubMed Central",
    paper="Zhang et al. 2023, arXiv 2303.00915",
    licence="MIT by its model card (unverified)",
    corpus="pmc_15m",
    layouts=(
        Layout(
            "vit_base",
            f"{_PREFIX}patch_embed.proj.weight",
            replace(VIT_BASE, mean=CLIP_MEAN, std=CLIP_STD),
            timm_vit(_PREFIX),
            (
                r"visual\.head\..+",
                r"visual\.trunk\.head\..+",
                r"text\..+",
                "logit_scale|logit_bias",
            ),
        ),
    ),
    sources=(
        Source(
            "mlfoundations/open_clip",
            "src/open_clip/timm_model.py",
            "0431f57237e678dd674fd09aa0e0cec2cde259f5",
            "visual.trunk is the timm model, visual.head.proj the projection",
        ),
        Source(
            "mlfoundations/open_clip",
            "src/open_clip/constants.py",
            "419b22c425a86db4fe87b1f63b6dfab8fc17945c",
            "OpenCLIP's default mean and std",
        ),
    ),
    unverified=(
        "licence",
        "that its open_clip_config.json keeps OpenCLIP's default mean, std and 224 px",
    ),
)
