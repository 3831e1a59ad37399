"""MedCLIP: ResNet-50 of pytorch_model.bin. Its "ViT" release is a Swin-T and is refused."""

from dataclasses import replace

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import RESNET50, resnet

_REPOSITORY = "RyanWangZf/MedCLIP"
_PREFIX = "vision_model.model."
_SPEC = replace(RESNET50, mean=0.5862785803043838, std=0.27950088968644304)

medclip = Card(
    word="medclip",
    title="MedCLIP, contrastive learning from unpaired images and texts",
    paper="Wang et al., EMNLP 2022, arXiv 2210.10163",
    licence="MIT",
    corpus="mimic_cxr, chexpert",
    layouts=(
        Layout(
            "resnet50",
            f"{_PREFIX}conv1.weight",
            _SPEC,
            resnet(_PREFIX),
            (r"vision_model\.model\.fc\..+", r"text_model\..+", "logit_scale"),
        ),
        Layout(
            "swin_tiny",
            f"{_PREFIX}embeddings.patch_embeddings.projection.weight",
            _SPEC,
            (),
            refusal="this is MedCLIP-ViT, whose image tower is a Swin-T; the suite's encoders are "
            "ResNets and ViTs. Import MedCLIP's ResNet-50 release instead",
        ),
    ),
    sources=(
        Source(
            _REPOSITORY,
            "medclip/modeling_medclip.py",
            "fa40957fc2484c92d47e1581a34fcc46abc2420d",
            "vision_model.model, its fc is the projection head; text_model, logit_scale",
        ),
        Source(
            _REPOSITORY,
            "medclip/constants.py",
            "23a549156728f71d7d6c4ad9afe305198f56d61c",
            "224 px, mean, std; VIT_TYPE is microsoft/swin-tiny-patch4-window7-224",
        ),
    ),
    differs=("the download is a zip: unpack pytorch_model.bin from it first",),
)
