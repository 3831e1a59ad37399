"""MRM: ViT-B/16 in MAE's names."""

from dataclasses import replace

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import VIT_BASE, timm_vit

_REPOSITORY = "RL4M/MRM-pytorch"
_COMMIT = "e2f458e4ec743fb56c672af9019d984113e76f1a"

mrm = Card(
    word="mrm",
    title="MRM, masked record modelling",
    paper="Zhou et al., ICLR 2023, arXiv 2301.13155",
    licence="MIT",
    corpus="mimic_cxr",
    layouts=(
        Layout(
            "vit_base",
            "patch_embed.proj.weight",
            # Pooled as its report decoder is fed: the mean of the normalised patch tokens.
            replace(
                VIT_BASE,
                arguments={"global_pool": "avg", "fc_norm": False},
                mean=0.4978,
                std=0.2449,
            ),
            timm_vit(),
            (r"decoder_.+", "mask_token", r"bert_(encoder|mlp)\..+"),
        ),
    ),
    sources=(
        Source(_REPOSITORY, "model_mrm.py", _COMMIT, "MAE's names, decoder_*, bert_encoder"),
        Source(_REPOSITORY, "NIH_ChestX-ray/train.py", _COMMIT, "saved under `model`"),
        Source(_REPOSITORY, "main_pretrain.py", _COMMIT, "mean 0.4978, std 0.2449, 224 px"),
    ),
    differs=(
        "the authors' fine-tuning puts a new layer norm behind the mean of the patch tokens; here "
        "the pre-trained norm stands before it, as in pre-training",
    ),
)
