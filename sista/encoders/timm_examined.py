"""What `sista.encoders.timm_names` asks a process of its own, since planning knows no torch."""

import json
import sys
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer

STRIDES = (4, 8, 16, 32)


def examine(name: str) -> dict[str, Any]:
    """Return the fields of an encoder, or the reason under `refused`."""
    model_name, _, tag = name.partition(".")
    if not timm.is_model(model_name):
        return {"refused": "no model of timm, though a function of this name is in its source"}
    if tag and not timm.is_model_pretrained(name):
        known = ", ".join(timm.list_pretrained(f"{model_name}.*")) or "none"
        return {"refused": f"timm has no such weights; valid: {known}"}
    settings = timm.get_pretrained_cfg(name)
    size = int(settings.input_size[-1])
    with torch.device("meta"):
        body: Any = timm.create_model(model_name, num_classes=0).eval()
        if isinstance(body, VisionTransformer):
            family = "vit"
        elif (reason := _no_pyramid(body, size)) is None:
            family = "resnet"
        else:
            return {"refused": f"neither a plain ViT nor a pyramid of feature maps: {reason}"}
    mean, std = (list(map(float, values)) for values in (settings.mean, settings.std))
    facts = {"timm_name": model_name, "family": family, "size": size, "mean": mean, "std": std}
    return facts | {"initial_weights": tag}


def _no_pyramid(body: Any, size: int) -> str | None:
    """Return why a model has no maps at the strides of a ResNet's C2 to C5, or None."""
    if not hasattr(body, "forward_intermediates") or not hasattr(body, "feature_info"):
        return "timm tells no intermediate maps of it"
    strides = tuple(int(info["reduction"]) for info in body.feature_info[-4:])
    if strides != STRIDES:
        return f"its last maps have strides {strides}"
    with torch.no_grad():
        last, maps = body.forward_intermediates(torch.zeros(1, 3, size, size))
    widths = [(info["num_chs"], size // info["reduction"]) for info in body.feature_info[-4:]]
    if [(each.shape[1], each.shape[2]) for each in maps[-4:]] != widths:
        return "its maps are not of the sizes that timm states"
    if last.ndim != 4 or body.num_features not in (last.shape[1], last.shape[3]):
        return "its last map is none"
    return None


if __name__ == "__main__":
    print(json.dumps(examine(sys.argv[1])))
