"""SAT (Liu et al. 2023): pairs of similar reports attract, a neutral band is left out."""

from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.losses.sat import sat as triage
from sista.text.similarity import ReportEncoder, ReportText

# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "r_text": "similarity!=labels & similarity!=rule_labels",
}


class _Sat(Objective):
    def __init__(
        self, needs: Needs, temperature: float, theta: tuple[float, float], alpha: float, peer: bool
    ) -> None:
        super().__init__(needs)
        self.temperature = Temperature(temperature, False)
        self.positive, self.negative = theta
        self.alpha = alpha
        self.divide_by_negatives = peer

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the similarity-aware contrast."""
        loss = triage(
            required(e.image),
            required(e.report),
            required(e.similarity),
            temperature=self.temperature(),
            positive=self.positive,
            negative=self.negative,
            image_weight=self.alpha,
            divide_by_negatives=self.divide_by_negatives,
        )
        return {"loss": loss}


def sat(
    *,
    theta_positive: float = 0.98,
    theta_negative: float = 0.97,
    alpha: float = 0.5,
    temperature: float = 0.1,
    similarity: ReportEncoder = "tfidf",
    r_text: ReportText = "cleaned",
    divide_by_negatives: bool = False,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return SAT's objective, `attract` of `sista.losses.sia` with the source's cuts.

    `L_i` = mean over reports j of similarity above theta_positive of
    `log(e^{s_ij} + sum of negatives) - s_ij`; negatives have at most theta_negative.
    What differs: the source takes the similarity from the [CLS] states of a frozen
    Bio_ClinicalBERT, whose weights are not at hand without a network. The default is an encoder
    that is; the cuts were made for [CLS] cosines, so on another encoder they mean "nearly the same
    findings".

    Args:
        theta_positive: strictly above it two reports are positives of each other.
        theta_negative: at or below it they are negatives; between the two they are neither.
        alpha: weight of the direction image→report.
        temperature: fixed.
        similarity: frozen encoder of the reports.
        r_text: what it looks at (source: the raw report).
        divide_by_negatives: compatibility with a mistake of the public code, which divides each
            term by one plus its number of negatives.
        width: dimensions of the shared space (source: 512).
        head_norm: norm after the global projections (source: none).
    """
    needs = Needs(text=True, similarity=similarity, r_text=r_text, width=width, head_norm=head_norm)
    theta = (theta_positive, theta_negative)
    return _Sat(needs, temperature, theta, alpha, divide_by_negatives)
