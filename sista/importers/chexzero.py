"""CheXzero: CLIP ViT-B/32 fine-tuned on MIMIC-CXR, or its ViT-B/16 at 320 px from scratch."""

from dataclasses import replace

from sista.importers._card import Card, Source
from sista.importers.clip import clip

_REPOSITORY = "rajpurkarlab/CheXzero"
# 101.48761 and 83.43944 on pixels in [0, 255].
_MEAN, _STD = 101.48761 / 255, 83.43944 / 255
_SIZES = {16: 320, 32: 224}

chexzero = Card(
    word="chexzero",
    title="CheXzero, CLIP on MIMIC-CXR impressions",
    paper="Tiu et al., Nature Biomedical Engineering 2022",
    licence="Apache-2.0 with Commons Clause",
    corpus="mimic_cxr",
    layouts=tuple(
        replace(
            layout,
            spec=replace(layout.spec, size=_SIZES[layout.side or 32], mean=_MEAN, std=_STD),
        )
        for layout in clip.layouts
        if layout.signature == "visual.conv1.weight"
    ),
    sources=(
        Source(
            _REPOSITORY,
            "model.py",
            "a2eb643d3f660e29c7c2a9ad615375681497d96a",
            "names of all keys",
        ),
        Source(
            _REPOSITORY,
            "zero_shot.py",
            "493a4917a7d565e2ea3bd1c8cd4a8f29abc47c10",
            "plain state dict; ViT-B/32 at 224 px or patch 16 at 320 px; mean and std",
        ),
    ),
    differs=("features are taken before the projection into the shared space",),
    unverified=("which of the two sizes each released file has; the file itself tells",),
)
