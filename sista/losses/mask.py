"""Losses on masks: binary focal loss, soft Dice and its logarithm."""

from torch import Tensor
from torch.nn import functional


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the mean binary focal loss without class weight (Lin et al. 2017, eq. 4).

    Args:
        logits: any shape.
        target: same shape, 0 or 1.
        gamma: focusing exponent.
    """
    # With m = logit of the true class: -log p = softplus(-m), log(1 - p) = -(m + softplus(-m)).
    margin = logits * (target * 2 - 1)
    entropy = functional.softplus(-margin)
    return ((-gamma * (margin + entropy)).exp() * entropy).mean()


def soft_dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Return one minus the Dice overlap of probabilities and target over the whole batch.

    Args:
        logits: any shape.
        target: same shape, 0 or 1.
        smooth: added to both parts of the fraction, in pixels.
    """
    return 1 - _overlap(logits, target, smooth)


def log_dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Return minus the logarithm of the Dice overlap over the whole batch; see `soft_dice`."""
    return -_overlap(logits, target, smooth).log()


def _overlap(logits: Tensor, target: Tensor, smooth: float) -> Tensor:
    probability = logits.sigmoid()
    inner = (probability * target).sum()
    return (2 * inner + smooth) / (probability.sum() + target.sum() + smooth)
