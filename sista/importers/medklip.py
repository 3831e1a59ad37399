"""MedKLIP: ResNet-50 up to its third stage, as numbered children of torchvision's model."""

from dataclasses import replace

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import IMAGENET_MEAN, IMAGENET_STD, RESNET50, resnet_children

_REPOSITORY = "MediaBrain-SJTU/MedKLIP"

medklip = Card(
    word="medklip",
    title="MedKLIP, medical knowledge enhanced language-image pre-training",
    paper="Wu et al., ICCV 2023, arXiv 2301.02228",
    licence="none stated in the repository",
    corpus="mimic_cxr",
    layouts=(
        Layout(
            "resnet50 without layer4",
            "res_features.0.weight",
            replace(RESNET50, arguments={"stages": 3}, mean=IMAGENET_MEAN, std=IMAGENET_STD),
            resnet_children("res_features."),
            (
                r"res_l[12]\..+",
                r"decoder\..+",
                r"(disease_embedding_layer|cl_fc|classifier)\..+",
            ),
        ),
    ),
    sources=(
        Source(
            _REPOSITORY,
            "PreTrain_MedKLIP/models/model_MedKLIP.py",
            "adc2eb8672a37ad7e41b365aea41ac3af29878e2",
            "res_features = the children of resnet50 without layer4, avgpool, fc; 14x14 patches",
        ),
        Source(
            _REPOSITORY,
            "Sample_zero-shot_Classification_CXR14/test.py",
            "43ba697146e84241524edea8fd4dc3dd771d635c",
            "saved under `model` by DataParallel, so every key begins with module.",
        ),
        Source(
            _REPOSITORY,
            "Sample_zero-shot_Classification_CXR14/dataset/dataset.py",
            "044a60eae9af3c8d46cefe93945723e1d12e6f15",
            "224 px, ImageNet mean and std",
        ),
    ),
    differs=(
        "the file has no layer4: C5 is C4 averaged over 2x2, the pooled feature is that of C4 "
        "(1024 wide); the authors' fine-tuning starts a layer4 at random",
    ),
)
