"""PRIOR: ResNet-50 with one input channel."""

from dataclasses import replace

from sista.importers._card import Card, Layout, Source
from sista.importers._keys import RESNET50, resnet

_REPOSITORY = "QtacierP/PRIOR"
_PREFIX = "image_encoder.encoder."

prior = Card(
    word="prior",
    title="PRIOR, prototype representation joint learning",
    paper="Cheng et al., ICCV 2023, arXiv 2307.12577",
    licence="none stated in the repository",
    corpus="mimic_cxr",
    layouts=(
        Layout(
            "resnet50, grey",
            f"{_PREFIX}conv1.weight",
            replace(RESNET50, mean=0.4755, std=0.3011),
            resnet(_PREFIX),
            (
                r"image_encoder\.(atten_pool|encoder\.fc)\..+",
                r"(text_encoder|global_text_attention|predictor|sentence_decoder)\..+",
                r"(global|local)_(image|text)_projection\..+",
                r"(image_decoder|local_cross_attention|sentence_bank|item_gather)\..+",
                "prototype_queries|(local_)?logit_scale",
            ),
            grey=True,
        ),
    ),
    sources=(
        Source(
            _REPOSITORY,
            "codes/prior/encoders/image/resnet.py",
            "13d622d2166578996bbf23b19c57a8209dc662cd",
            "encoder = torchvision resnet50, conv1 with one channel, atten_pool",
        ),
        Source(
            _REPOSITORY,
            "codes/prior/models/prior.py",
            "024d728308144c09455956f5549189775ad824cc",
            "the other modules",
        ),
        Source(
            _REPOSITORY,
            "codes/prior/downstream/zero_classification_model.py",
            "024d728308144c09455956f5549189775ad824cc",
            "weights are a plain state dict",
        ),
        Source(
            _REPOSITORY,
            "codes/prior/data/pretrain/mimiccxr.py",
            "086bf2e0d379d7dacc47a6ad738ffabc1ad6e25f",
            "one channel: mean 0.4755, std 0.3011",
        ),
        Source(
            _REPOSITORY,
            "configs/image_transformation.yaml",
            "13d622d2166578996bbf23b19c57a8209dc662cd",
            "224 px",
        ),
        Source(
            _REPOSITORY,
            "configs/data/mimiccxr.yaml",
            "13d622d2166578996bbf23b19c57a8209dc662cd",
            "num_colors 1",
        ),
        Source(
            _REPOSITORY,
            "configs/experiments/pre_train/train_prior.yaml",
            "13d622d2166578996bbf23b19c57a8209dc662cd",
            "pool_method attention",
        ),
    ),
    differs=(
        "the one-channel convolution is spread over three equal channels (a third each)",
        "the release pools C5 by attention (atten_pool); this encoder pools by the average",
    ),
    unverified=("that the released file was trained with the configs read",),
)
