"""CLIP: symmetric InfoNCE with a learned temperature (Radford et al. 2021)."""

from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.losses.info_nce import info_nce


class Contrastive(Objective):
    """InfoNCE between images and reports.

    Args:
        needs: of the engine.
        temperature: first value.
        learned: whether the temperature is learned.
        image_weight: weight of the direction image→report.
    """

    def __init__(
        self, needs: Needs, temperature: float, learned: bool, image_weight: float = 0.5
    ) -> None:
        super().__init__(needs)
        self.temperature = Temperature(temperature, learned)
        self.image_weight = image_weight

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the contrastive loss."""
        loss = info_nce(
            required(e.image),
            required(e.report),
            temperature=self.temperature(),
            image_weight=self.image_weight,
        )
        return {"loss": loss}


def clip(
    *,
    temperature: float = 0.07,
    learn_temperature: bool = True,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return CLIP's objective.

    Args:
        temperature: first value (CLIP: 0.07).
        learn_temperature: CLIP learns it.
        width: dimensions of the shared space (CLIP: 512; the family: 128).
        head_norm: norm after the global projections; the same in all rows of a table.
    """
    needs = Needs(text=True, width=width, head_norm=head_norm)
    return Contrastive(needs, temperature, learn_temperature)
