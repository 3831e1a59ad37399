"""Lower control: an encoder that has seen nothing."""

from sista.engine.interface import Needs, Objective

CONTROL = True


def random_init() -> Objective:
    """Return the control with random weights and no training."""
    return Objective(Needs(trained=False))
