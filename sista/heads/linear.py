"""Linear probe: one linear layer on the pooled feature of the frozen encoder."""

from sista.adaptation.classification import LinearClassifier
from sista.openmmlab.backbone import FeatureShape

TASK = "classification"
ADAPTS = "frozen"
LEVELS: dict[str, tuple[int, ...]] = {"resnet": (), "vit": ()}


def linear(
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
