"""BioViL and BioViL-T: ResNet-50 of hi-ml-multimodal."""

from dataclasses import replace

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import RESNET50, resnet

_FOLDER = "hi-ml-multimodal/src/health_multimodal/image"
_PREFIX = "encoder.encoder."

biovil = Card(
    word="biovil",
    title="BioViL and BioViL-T (the trunk for one image)",
    paper="Boecking et al., ECCV 2022, arXiv 2204.09817; Bannur et al., CVPR 2023",
    licence="MIT (code); the weights' terms are those of their model card",
    corpus="mimic_cxr",
    layouts=(
        Layout(
            "resnet50",
            f"{_PREFIX}conv1.weight",
            replace(RESNET50, size=448, mean=0.0, std=1.0),
            resnet(_PREFIX),
            (
                r"encoder\.encoder\.fc\..+",
                r"encoder\.(backbone_to_vit|vit_pooler)\..+",
                r"encoder\.missing_previous_emb",
                r"(projector|classifier)\..+",
            ),
        ),
    ),
    sources=(
        Source(
            "microsoft/hi-ml",
            f"{_FOLDER}/model/model.py",
            "0361bbd596f3685dea1cc8f23e600498b6a3db17",
            "encoder.encoder is the ResNet, projector; the file is a plain state dict",
        ),
        Source(
            "microsoft/hi-ml",
            f"{_FOLDER}/model/encoder.py",
            "04bf33357e09870fecf9957c1c02fcd1857994c5",
            "BioViL-T adds backbone_to_vit, vit_pooler, missing_previous_emb",
        ),
        Source(
            "microsoft/hi-ml",
            f"{_FOLDER}/data/transforms.py",
            "ab0e34998b4eb43056e7fee029f4e157425ac4da",
            "resize, centre crop, pixels in [0, 1] without normalisation, three equal channels",
        ),
        Source(
            "yangzhou12/BenchX",
            "constants.py",
            "073d55cac9bcc6fab261ee99d07c2ab3a53bf72d",
            "prefix encoder.encoder.",
        ),
    ),
    differs=("of BioViL-T only the ResNet is taken, not the pooler over two images",),
    unverified=("448 px is the size of the repository's probes; the crop is the caller's choice",),
)
