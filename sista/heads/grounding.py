"""Where a method looks for a finding: the map of a phrase, and those of its token level."""

from collections.abc import Sequence

from sista.adaptation.grounding import Pointer
from sista.engine.restored import Restored
from sista.errors import UserError

TASK = "grounding"
ADAPTS = "untrained"
RANGES = {"swaps": (1, 1000)}
# Settings that act on encoders of one family only.
FAMILIES = {"stride": "resnet"}
# As reports and BioViL's prompts name a finding.
PHRASES = ("There is {finding}.", "Findings suggesting {finding}.")


def grounding(run: Restored, labels: Sequence[str], *, stride: int = 8, swaps: int = 8) -> Pointer:
    """Return what makes the maps.

    Args:
        run: restored from the checkpoint.
        labels: none; the findings are those of the regions.
        stride: pixels a cell of the map of a phrase, 8 or 16 for a ResNet (a ViT has one patch
            size). The last map of a small ResNet has too few cells to point with.
        swaps: films of other patients that each text is also shown, at least 1.
    """
    strides = run.model.image.map_strides
    if run.model.image.family == "resnet" and stride not in strides:
        raise UserError(
            f"grounding: stride {stride}: the encoder has {', '.join(map(str, strides))}"
        )
    return Pointer(run, PHRASES, stride, swaps)
