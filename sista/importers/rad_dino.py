"""RAD-DINO: ViT-B/14 with layer scale, in the names of transformers or of DINOv2's own code."""

from sista.encoders.specs import EncoderSpec
from sista.importers._card import Card, Layout, Source
from sista.importers._keys import timm_vit, transformers_dinov2

_SPEC = EncoderSpec("vit_base", "vit", "vit_base_patch14_dinov2", 518, mean=0.5307, std=0.2583)

rad_dino = Card(
    word="rad_dino",
    title="RAD-DINO, DINOv2 on chest radiographs (no text)",
    paper="Pérez-García et al. 2024, arXiv 2401.10815",
    licence="MIT by its model card",
    corpus="rad_dino_830k",
    layouts=(
        Layout(
            "transformers",
            "embeddings.patch_embeddings.projection.weight",
            _SPEC,
            transformers_dinov2(),
            (r"embeddings\.mask_token",),
        ),
        Layout("DINOv2's own code", "patch_embed.proj.weight", _SPEC, timm_vit(), ("mask_token",)),
    ),
    sources=(
        Source(
            "huggingface/transformers",
            "src/transformers/models/dinov2/convert_dinov2_to_hf.py",
            "06fefc4d4fec6025a798bfac282af3a3884a11fc",
            "both namings; patch 14, 518 px, query, key, value in this order",
        ),
    ),
    unverified=(
        "mean 0.5307 and std 0.2583 (preprocessor_config.json of the model card)",
        "whether the file for DINOv2's own code has a prefix before its keys",
    ),
)
