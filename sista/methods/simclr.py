"""SimCLR (Chen et al. 2020): two views of an image against all other images; no reports."""

from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.engine.views import ViewPolicy
from sista.losses.nt_xent import nt_xent


class _SimClr(Objective):
    def __init__(self, needs: Needs, temperature: float) -> None:
        super().__init__(needs)
        self.temperature = Temperature(temperature, False)

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return NT-Xent."""
        loss = nt_xent(required(e.image), required(e.second), temperature=self.temperature())
        return {"loss": loss}


def simclr(
    *,
    temperature: float = 0.1,
    crop: float = 0.2,
    flip: bool = True,
    jitter: float = 0.4,
    blur: float = 0.5,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return SimCLR's objective.

    For each of 2B views, `-log e^{s_pos} / sum_{k != itself} e^{s_k}` (equation 1), after a
    projection with one hidden layer. What differs: films are grey, so there is no colour change;
    crops show at least a fifth of the film (source: 0.08), since a small crop shows no finding;
    the two views pass the encoder one after the other, so batch norm sees one view at a time.
    Studies without a report take part.

    Args:
        temperature: fixed (source: 0.1 was best on ImageNet).
        crop: smallest share of the image's area in a view.
        flip: mirror half of the views.
        jitter: brightness and contrast change by up to this share (source: 0.8).
        blur: share of the views that are blurred.
        width: dimensions of the projection.
        head_norm: norm after the projection.
    """
    views = ViewPolicy(crop, flip, jitter, blur)
    needs = Needs(image=True, views=views, width=width, head_norm=head_norm, projector="mlp")
    return _SimClr(needs, temperature)
