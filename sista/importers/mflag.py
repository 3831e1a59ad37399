"""M-FLAG: ResNet-50, saved alone or within the whole model."""

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import RESNET50, resnet

_REPOSITORY = "cheliu-computation/M-FLAG-MICCAI2023"
_LEFT_OUT = (r"(encoder\.)?fc\..+", r"proj_[vt]\..+", r"lm_model\..+")

mflag = Card(
    word="mflag",
    title="M-FLAG, frozen language model and latent space geometry",
    paper="Liu et al., MICCAI 2023, arXiv 2307.08347",
    licence="MIT",
    corpus="mimic_cxr",
    layouts=(
        Layout("total", "encoder.conv1.weight", RESNET50, resnet("encoder."), _LEFT_OUT),
        Layout("encoder", "conv1.weight", RESNET50, resnet(), _LEFT_OUT),
    ),
    sources=(
        Source(
            _REPOSITORY,
            "utils/utils_builder.py",
            "a5a6281697ad30396a56a699f02c276aa48d4adc",
            "encoder (torchvision resnet50, fc = identity), proj_v, proj_t, lm_model",
        ),
        Source(
            _REPOSITORY,
            "utils/utils_trainer.py",
            "a5a6281697ad30396a56a699f02c276aa48d4adc",
            "saves NAME_encoder.pth and NAME_total.pth as plain state dicts",
        ),
        Source(
            _REPOSITORY,
            "utils/utils_dataset.py",
            "a5a6281697ad30396a56a699f02c276aa48d4adc",
            "crop 224, mean 0.5, std 0.5",
        ),
    ),
    unverified=("that a download exists: the README read names none",),
)
