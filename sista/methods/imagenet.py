"""Control: an encoder pre-trained on photographs (timm's released weights), no radiographs."""

from sista.engine.interface import Needs, Objective


def imagenet() -> Objective:
    """Return the control with the encoder's released weights and no training.

    Where the weights cannot be had, pre-training ends with an error that names them.
    """
    return Objective(Needs(trained=False, released_weights=True))
