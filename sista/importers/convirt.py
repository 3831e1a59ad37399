"""ConVIRT as re-trained and released by BenchX: ResNet-50."""

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import RESNET50, resnet

_PREFIX = "img_encoder.model."

convirt = Card(
    word="convirt",
    title="ConVIRT, re-trained by BenchX on MIMIC-CXR",
    paper="Zhang et al., MLHC 2022, arXiv 2010.00747; BenchX: Zhou et al., NeurIPS 2024",
    licence="MIT (BenchX)",
    corpus="mimic_cxr",
    layouts=(
        Layout(
            "resnet50",
            f"{_PREFIX}conv1.weight",
            RESNET50,
            resnet(_PREFIX),
            (
                r"img_encoder\.(global|local)_embed\..+",
                r"img_encoder\.model\.fc\..+",
                r"text_encoder\..+",
            ),
        ),
    ),
    sources=(
        Source(
            "yangzhou12/BenchX",
            "constants.py",
            "073d55cac9bcc6fab261ee99d07c2ab3a53bf72d",
            "prefix img_encoder.model.",
        ),
        Source(
            "yangzhou12/BenchX",
            "models/convirt/convirt_module.py",
            "9e6ebab9d1159e3711e323d9d82a5b335676d9d5",
            "img_encoder, text_encoder, ResNet-50 of MGCA's code",
        ),
        Source(
            "yangzhou12/BenchX",
            "models/convirt/train.py",
            "2c48173a2d860cff005ef2fa6cceebcd96fc46a7",
            "saved under `model`, images by DataTransforms",
        ),
        Source(
            "yangzhou12/BenchX",
            "datasets/transforms.py",
            "29d9186b53a5996ad781030932c629128165408e",
            "224 px, mean 0.5, std 0.5",
        ),
    ),
    differs=("BenchX's forward first enlarges the 224 px image to 299 px, as MGCA's",),
    unverified=(
        "a later BenchX trains ConVIRT through another code base, whose keys begin otherwise",
    ),
)
