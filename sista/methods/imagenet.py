"""Control: an encoder pre-trained on photographs (timm's released weights), no radiographs."""

from sista.engine.interface import Needs, Objective

CONTROL = True


def imagenet(*, weights: str | None = None) -> Objective:
    """Return the control with the encoder's released weights and no training.

    Where the weights cannot be had, pre-training ends with an error that names them.

    Args:
        weights: file with timm's own keys (safetensors, or of `torch.save`), for compute nodes
            without the internet, e.g. `weights/imagenet_{encoder}.safetensors`; `{encoder}`
            becomes the encoder's word. The file's content is an input of the job and its hash
            stands in the encoder's metadata. None = from timm's hub or its cache (HF_HOME).
    """
    needs = Needs(trained=False, released_weights=not weights, timm_weights=weights or "")
    return Objective(needs)
