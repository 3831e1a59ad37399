"""Protocol of MGCA's public code: frozen encoder, 224 px, 50 epochs with early stopping.

Read at commit 680fe4a of github.com/HKU-MedAI/MGCA. Point by point, with the test of each point:
benchmarks/mgca_v1.md. Training images are changed at every visit, so the frozen encoder runs in
every training step; `mgca_fixed_v1` is the protocol without that and without what we think wrong.

Expected on CheXpert at 1 / 10 / 100 % with a pre-trained ResNet-50: AUROC about 87 / 88 / 89.

What is not as in the code stands in `differs`, and in the caption of each table.
"""

from sista.protocols._base import (
    CLASSIFICATION,
    DETECTION,
    FAMILY_HEADS,
    FAMILY_LABELS,
    FAMILY_POLICY,
    FAMILY_ZOOM,
    SEGMENTATION,
    Exceptional,
    Protocol,
    Settings,
    SplitRule,
)

_LABEL_SUBSETS = (
    "label fractions are nested and stratified, one set a draw, not one sample of seed 42"
)
_ALL_VALIDATED = "the last validation images are not dropped"
_BY_PATIENT = "are split by patient at the sizes that MGCA prints, not by the code's rows"

mgca_v1 = Protocol(
    word="mgca_v1",
    image_size=224,
    heads=FAMILY_HEADS,
    settings={
        CLASSIFICATION: Settings(
            learning_rate=5e-4,
            weight_decay=1e-6,
            batch=48,
            zoom=FAMILY_ZOOM,
            augment="crop",
            drop_last=True,
        ),
        SEGMENTATION: Settings(
            learning_rate=5e-4,
            weight_decay=0.05,
            batch=16,
            augment="affine",
            drop_last=True,
            head={"unet": {"log_dice": True}, "setr_pup": {"log_dice": True}},
        ),
        DETECTION: Settings(
            learning_rate=5e-4,
            weight_decay=1e-6,
            batch=16,
            monitor="map_40_75",
            clip_gradient=35.0,
            drop_last=True,
        ),
    },
    exceptions=(
        Exceptional(CLASSIFICATION, {"augment": "moco"}, dataset="chexpert"),
        Exceptional(SEGMENTATION, {"batch": 8}, dataset="siim_acr"),
        Exceptional(DETECTION, {"batch": 8}, fraction=1),
        Exceptional(DETECTION, {"learning_rate": 2e-4}, dataset="rsna_pneumonia", fraction=1),
        Exceptional(DETECTION, {"learning_rate": 2.5e-4}, dataset="object_cxr", fraction=1),
    ),
    label_policy=FAMILY_POLICY,
    labels=FAMILY_LABELS,
    map_bytes=16 << 30,
    splits=(
        SplitRule("rsna_pneumonia", (CLASSIFICATION,), held_out=0.3),
        SplitRule("rsna_pneumonia", (SEGMENTATION, DETECTION), held_out=0.4),
        SplitRule("siim_acr", (SEGMENTATION,), balanced=True),
    ),
    differs={
        CLASSIFICATION: (
            f"CheXpert and COVIDx {_BY_PATIENT}",
            _LABEL_SUBSETS,
            "the linear layer starts at weights of 0.01",
            _ALL_VALIDATED,
        ),
        SEGMENTATION: (
            f"SIIM {_BY_PATIENT}",
            _LABEL_SUBSETS,
            "batch norms of the encoder stay in eval mode",
            "films are scaled to 224 px before they are rotated, not after",
            "the U-Net has no skip at stride 2, SETR 256 channels throughout",
            "masks start at a probability of 0.1",
            _ALL_VALIDATED,
            "their loss takes Dice over 64 images at a time, not over a batch",
            "Dice counts images with a lesion only; the code's own is dice_mgca in the scores",
        ),
        DETECTION: (
            f"Object-CXR {_BY_PATIENT}",
            _LABEL_SUBSETS,
            "batch norms of the encoder stay in eval mode",
            "films are padded to a square, not stretched",
            "YOLOv3 is mmdetection's: its loss, gradients clipped at 35, boxes of any score",
            "the code has no detector for ViT",
            _ALL_VALIDATED,
            "every image and box counts, also to stop; the code's mean is map_mgca in the scores",
        ),
    },
)
