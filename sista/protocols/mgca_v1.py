"""Protocol of the MGCA line of papers: frozen encoder, 224 px, 50 epochs with early stopping.

Expected on CheXpert at 1 / 10 / 100 % with a pre-trained ResNet-50: AUROC about 87 / 88 / 89.
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
)

mgca_v1 = Protocol(
    word="mgca_v1",
    image_size=224,
    heads=FAMILY_HEADS,
    settings={
        CLASSIFICATION: Settings(learning_rate=5e-4, weight_decay=1e-6, batch=48, zoom=FAMILY_ZOOM),
        SEGMENTATION: Settings(learning_rate=2e-4, weight_decay=0.05, batch=16),
        DETECTION: Settings(
            learning_rate=5e-4, weight_decay=1e-6, batch=16, monitor="map_40_75", clip_gradient=35.0
        ),
    },
    exceptions=(
        Exceptional(SEGMENTATION, {"batch": 8}, dataset="siim_acr"),
        Exceptional(DETECTION, {"learning_rate": 2e-4}, dataset="rsna_pneumonia", fraction=1),
        Exceptional(DETECTION, {"learning_rate": 2.5e-4}, dataset="object_cxr", fraction=1),
    ),
    label_policy=FAMILY_POLICY,
    labels=FAMILY_LABELS,
    map_bytes=16 << 30,
)
