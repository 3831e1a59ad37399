"""Linear probe: one linear layer on the pooled feature of the frozen encoder."""

from torch import Tensor, nn

from sista.adaptation.classification import Classifier
from sista.openmmlab.backbone import FeatureShape

TASK = "classification"
LEVELS: dict[str, tuple[int, ...]] = {"resnet": (), "vit": ()}


class LinearClassifier(Classifier):
    """One linear layer.

    Args:
        dim: width of the pooled feature.
        labels: number of labels.
        exclusive: exactly one label holds for an image.
        standardise: give every feature zero mean and unit variance first (over training batches,
            without parameters), so that methods whose features differ in scale learn at one pace.
    """

    def __init__(self, dim: int, labels: int, exclusive: bool, standardise: bool) -> None:
        super().__init__(exclusive)
        self.norm = nn.BatchNorm1d(dim, affine=False) if standardise else nn.Identity()
        self.classifier = nn.Linear(dim, labels)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits `[B, L]` of pooled features `[B, D]`."""
        result: Tensor = self.classifier(self.norm(inputs))
        return result


def linear(
    shape: FeatureShape, labels: int, *, exclusive: bool = False, standardise: bool = False
) -> LinearClassifier:
    """Build the linear probe.

    Args:
        shape: of the encoder's features.
        labels: number of labels.
        exclusive: exactly one label holds for an image; the data decide.
        standardise: see `LinearClassifier`.
    """
    return LinearClassifier(shape.dim, labels, exclusive, standardise)
