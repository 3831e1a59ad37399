"""Protocol of the phantom and open suites: the family's heads, small, on cached frozen features.

A head trains for seconds on one core, so that 144 of them fit into minutes.
"""

from sista.protocols._base import (
    CLASSIFICATION,
    DETECTION,
    FAMILY_HEADS,
    FAMILY_LABELS,
    FAMILY_POLICY,
    FAMILY_ZOOM,
    SEGMENTATION,
    Protocol,
    Settings,
)

quick_v1 = Protocol(
    word="quick_v1",
    image_size=None,
    heads=FAMILY_HEADS,
    settings={
        CLASSIFICATION: Settings(
            learning_rate=3e-3,
            weight_decay=1e-2,
            batch=48,
            iterations=400,
            cosine=True,
            zoom=FAMILY_ZOOM,
            head={"linear": {"standardise": True}},
        ),
        SEGMENTATION: Settings(
            learning_rate=5e-3,
            weight_decay=0.05,
            batch=16,
            iterations=120,
            cosine=True,
            clip_gradient=5.0,
            head={
                "unet": {"channels": 64, "steps": 3, "standardise": True},
                "setr_pup": {"channels": 32, "steps": 3, "standardise": True},
            },
        ),
        DETECTION: Settings(
            learning_rate=5e-3,
            weight_decay=1e-4,
            batch=16,
            iterations=120,
            cosine=True,
            clip_gradient=35.0,
            head={"yolov3": {"channels": 64, "boxes": 20, "standardise": True}},
        ),
    },
    label_policy=FAMILY_POLICY,
    labels=FAMILY_LABELS,
)
