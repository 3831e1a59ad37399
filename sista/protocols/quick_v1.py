"""Protocol of the phantom and open suites: the family's heads, small, on cached frozen features.

A head trains for a second or three on one core, so that hundreds of them fit into minutes. Its
settings were chosen on validation studies with `clip` alone, seed 0 (benchmarks/README.md).
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

quick_v1 = Protocol(
    word="quick_v1",
    image_size=None,
    heads=FAMILY_HEADS,
    settings={
        CLASSIFICATION: Settings(
            learning_rate=3e-3,
            weight_decay=1e-2,
            batch=48,
            iterations=200,
            cosine=True,
            zoom=FAMILY_ZOOM,
            head={"linear": {"standardise": True}},
        ),
        # Far larger rates than those of the head itself, which are meant for released weights.
        "finetune": Settings(
            learning_rate=2e-3,
            weight_decay=0.05,
            batch=32,
            iterations=50,
            cosine=True,
            clip_gradient=1.0,
            zoom=FAMILY_ZOOM,
            layer_decay=0.75,
            head={"finetune": {"standardise": True}},
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
    # A few films are seen often enough in half as large batches.
    exceptions=tuple(
        Exceptional(task, {"batch": 8}, fraction=fraction)
        for task in (SEGMENTATION, DETECTION)
        for fraction in (1, 10)
    ),
    label_policy=FAMILY_POLICY,
    labels=FAMILY_LABELS,
)
