"""ConVIRT (Zhang et al. 2020): InfoNCE at a fixed temperature, image→report weighted higher."""

from sista.engine.interface import HeadNorm, Needs, Objective
from sista.methods.clip import Contrastive


def convirt(
    *,
    alpha: float = 0.75,
    temperature: float = 0.1,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return ConVIRT's objective (equations 2 to 4).

    The source draws one sentence of the report at random; here the whole report is used, as in
    every row of a table.

    Args:
        alpha: weight of the direction image→report.
        temperature: fixed.
        width: dimensions of the shared space (source: 512).
        head_norm: norm after the global projections (source: none).
    """
    needs = Needs(text=True, width=width, head_norm=head_norm)
    return Contrastive(needs, temperature, False, alpha)
