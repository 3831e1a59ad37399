"""MGCA: ResNet-50 or ViT-B/16 of the Lightning checkpoint that its authors released."""

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import RESNET50, VIT_BASE, resnet, timm_vit

_REPOSITORY = "HKU-MedAI/MGCA"
_LEFT_OUT = (
    r"img_encoder_q\.(global|local)_embed\..+",
    r"img_encoder_q\.model\.(fc|head)\..+",
    r"text_encoder_q\..+",
    r"(patch|word)_local_atten_layer\..+",
    r"prototype_layer\..+",
)
_PREFIX = "img_encoder_q.model."

mgca = Card(
    word="mgca",
    title="MGCA, multi-granularity cross-modal alignment",
    paper="Wang et al., NeurIPS 2022, arXiv 2210.06044",
    licence="none stated in the repository",
    corpus="mimic_cxr",
    layouts=(
        Layout("resnet50", f"{_PREFIX}conv1.weight", RESNET50, resnet(_PREFIX), _LEFT_OUT),
        Layout(
            "vit_base",
            f"{_PREFIX}patch_embed.proj.weight",
            VIT_BASE,
            timm_vit(_PREFIX),
            _LEFT_OUT,
        ),
    ),
    sources=(
        Source(
            _REPOSITORY,
            "mgca/models/backbones/encoder.py",
            "6445a902287a68eb63741e693c77ad6311b26063",
            "model, global_embed, local_embed; ViT starts from DeiT-B/16",
        ),
        Source(
            _REPOSITORY,
            "mgca/models/backbones/vits.py",
            "6445a902287a68eb63741e693c77ad6311b26063",
            "ViT in timm's names, layer norm 1e-6",
        ),
        Source(
            _REPOSITORY,
            "mgca/models/mgca/mgca_module.py",
            "0fe1c3b3d0e2e6058d24628d4d1ab56e4f408829",
            "Lightning module with img_encoder_q, text_encoder_q, prototype_layer",
        ),
        Source(
            _REPOSITORY,
            "mgca/datasets/transforms.py",
            "6445a902287a68eb63741e693c77ad6311b26063",
            "crop 224, mean 0.5, std 0.5",
        ),
    ),
    differs=("the authors' ResNet forward first enlarges the 224 px image to 299 px",),
)
