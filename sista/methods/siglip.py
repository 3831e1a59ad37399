"""SigLIP (Zhai et al. 2023): a sigmoid for each image-report pair instead of a softmax."""

import torch
from torch import Tensor, nn

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.losses.siglip import siglip as pairwise_sigmoid


class _SigLip(Objective):
    def __init__(self, needs: Needs, temperature: float, bias: float, learned: bool) -> None:
        super().__init__(needs)
        self.temperature = Temperature(temperature, learned)
        self.bias = nn.Parameter(torch.tensor(bias), requires_grad=learned)

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the pairwise sigmoid loss."""
        loss = pairwise_sigmoid(
            required(e.image), required(e.report), temperature=self.temperature(), bias=self.bias
        )
        return {"loss": loss}


def siglip(
    *,
    temperature: float = 0.1,
    bias: float = -10.0,
    learned: bool = True,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return SigLIP's objective.

    `1/B sum_ij softplus(-z_ij (cos_ij / temperature + bias))`, z = 1 for the own pair, -1 else.
    What differs: the temperature is kept within [0.01, 1], as in every row.

    Args:
        temperature: first value (source: t' = log 10).
        bias: first value (source: -10), so that the many negatives start near a loss of 0.
        learned: whether both are learned.
        width: dimensions of the shared space.
        head_norm: norm after the global projections (source: none).
    """
    return _SigLip(Needs(text=True, width=width, head_norm=head_norm), temperature, bias, learned)
