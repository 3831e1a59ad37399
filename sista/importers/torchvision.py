"""torchvision's ResNet-50, or any ResNet-50 saved in its names without a prefix."""

from dataclasses import replace

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import IMAGENET_MEAN, IMAGENET_STD, RESNET50, resnet

torchvision = Card(
    word="torchvision",
    title="ResNet-50 of torchvision, ImageNet",
    paper="He et al., CVPR 2016",
    licence="BSD-3-Clause (code)",
    corpus="imagenet",
    layouts=(
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
            "pytorch/vision",
            "torchvision/models/resnet.py",
            "release 0.29.1",
            "names, and the order of the children",
        ),
    ),
)
