"""Fine-tuning: the encoder and a linear layer on its pooled feature are trained together."""

from sista.adaptation.classification import LinearClassifier
from sista.openmmlab.backbone import FeatureShape

TASK = "classification"
ADAPTS = "tuned"
LEVELS: dict[str, tuple[int, ...]] = {"resnet": (), "vit": ()}
# MAE's recipe (He et al. 2022, table 9) in small; a protocol may name its own. Images are cut as
# those of the protocol's other heads.
TRAINING = {
    "learning_rate": 5e-4,
    "weight_decay": 0.05,
    "batch": 48,
    "iterations": 100,
    "cosine": True,
    "clip_gradient": 1.0,
    "layer_decay": 0.75,
}


def finetune(
    shape: FeatureShape, labels: int, *, exclusive: bool = False, standardise: bool = False
) -> LinearClassifier:
    """Build the linear layer.

    Args:
        shape: of the encoder's features.
        labels: number of labels.
        exclusive: exactly one label holds for an image; the data decide.
        standardise: see `LinearClassifier`.
    """
    return LinearClassifier(shape.dim, labels, exclusive, standardise)
