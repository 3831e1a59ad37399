"""M-FLAG (Liu et al. 2023): images follow a frozen text space, with orthogonal latent axes."""

from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Projector, required
from sista.losses.mflag import alignment, orthogonality

# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "off_diagonal": "w_orthogonal",
}


class _MFlag(Objective):
    def __init__(self, needs: Needs, w_orthogonal: float, off_diagonal: float) -> None:
        super().__init__(needs)
        self.w_orthogonal = w_orthogonal
        self.off_diagonal = off_diagonal

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return alignment, orthogonality and their weighted sum."""
        aligned = alignment(required(e.image), required(e.report))
        orthogonal = orthogonality(required(e.features), self.off_diagonal)
        loss = aligned + self.w_orthogonal * orthogonal
        return {"loss": loss, "alignment": aligned, "orthogonality": orthogonal}


def mflag(
    *,
    w_orthogonal: float = 1.0,
    off_diagonal: float = 0.0051,
    projector: Projector = "mlp",
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return M-FLAG's objective.

    `mean(4 - 4 cos) + w_orthogonal * 1/2 (sum_i (C_ii - 1)^2 + off_diagonal sum_{i!=j} C_ij^2)`,
    C = Z^T Z / B of the image features before the projection. Without negatives, the batch norm
    after the projections is what keeps them from collapsing.
    What differs: the source freezes CXR-BERT. `bert_tiny` has random weights, so frozen it is a
    random bag of words; with a pre-trained text encoder it is the source's.

    Args:
        w_orthogonal: weight of the orthogonality.
        off_diagonal: weight of the correlations inside it (public code).
        projector: global projections (source: one hidden layer).
        width: dimensions of the shared space (source: 1024).
        head_norm: norm after the global projections.
    """
    needs = Needs(
        text=True,
        freeze_text=True,
        features=True,
        projector=projector,
        width=width,
        head_norm=head_norm,
    )
    return _MFlag(needs, w_orthogonal, off_diagonal)
