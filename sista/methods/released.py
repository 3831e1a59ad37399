"""Released weights: an encoder that others pre-trained, made by `sista import`; no training."""

from sista.engine.interface import Needs, Objective


def released(*, weights: str = "") -> Objective:
    """Return the row of an encoder that others pre-trained; corpus and budget are not used.

    Args:
        weights: the file that `sista import` wrote, e.g. `weights/mgca_{encoder}.safetensors`;
            `{encoder}` becomes the encoder's word. The path is part of the settings; the file's
            content is an input of the job and its hash stands in the encoder's metadata.
    """
    return Objective(Needs(trained=False, weights=weights))
