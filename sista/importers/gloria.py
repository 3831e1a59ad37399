"""GLoRIA: ResNet-50 of the Lightning checkpoint chexpert_resnet50.ckpt."""

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import RESNET50, resnet

_REPOSITORY = "marshuang80/gloria"
_LEFT_OUT = (
    r"(gloria\.)?img_encoder\.(global|local)_embedder\..+",
    r"(gloria\.)?img_encoder\.model\.fc\..+",
    r"(gloria\.)?text_encoder\..+",
)

gloria = Card(
    word="gloria",
    title="GLoRIA, global-local representations from image-report attention",
    paper="Huang et al., ICCV 2021",
    licence="none stated in the repository",
    corpus="chexpert",
    layouts=tuple(
        Layout(name, f"{prefix}conv1.weight", RESNET50, resnet(prefix), _LEFT_OUT)
        for name, prefix in (
            ("Lightning checkpoint", "gloria.img_encoder.model."),
            ("state dict without `gloria.`", "img_encoder.model."),
        )
    ),
    sources=(
        Source(
            _REPOSITORY,
            "gloria/gloria.py",
            "29f0f3d8c10b270543fc7579f3aaa8a0dc217552",
            "hyper_parameters and state_dict; every key begins with gloria.",
        ),
        Source(
            _REPOSITORY,
            "gloria/models/vision_model.py",
            "1a89c1546c176f32c03eb904155d71d9affa685e",
            "model, global_embedder, local_embedder",
        ),
        Source(
            _REPOSITORY,
            "gloria/builder.py",
            "4bf09c77b5ee2aa429af7aa4676246a98fae2df6",
            "norm `half`: mean 0.5, std 0.5",
        ),
        Source(
            _REPOSITORY,
            "configs/chexpert_pretrain_config.yaml",
            "1be5051ae2eb552f6afe0e7ba8b41f187af678b0",
            "image 256, crop 224, norm half",
        ),
        Source(
            "yangzhou12/BenchX",
            "constants.py",
            "073d55cac9bcc6fab261ee99d07c2ab3a53bf72d",
            "prefix gloria.img_encoder.model.",
        ),
    ),
    differs=("the authors' forward first enlarges the 224 px image to 299 px",),
    unverified=(
        "that the released checkpoint was trained with norm `half`: the config read is a default",
    ),
)
