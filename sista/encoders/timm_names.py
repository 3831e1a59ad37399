"""Any model of timm as an encoder: its family, strides and input are asked of timm, once.

Planning knows no torch, so a process of its own asks, and the answer is kept for this version of
timm in the user's cache. No weights are downloaded and none are made: a model without memory tells
its shapes.
"""

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sista.errors import UserError
from sista.files import atomic

STRIDES = (4, 8, 16, 32)


@cache
def timm_facts(name: str) -> dict[str, Any] | None:
    """Return the fields of an encoder from timm; None if it has no model of this name.

    Args:
        name: of a model, with a tag (`resnet18.a1_in1k`) to start from these weights.

    Raises:
        UserError: timm has the model, and it is no encoder for this suite; says why.
    """
    package = importlib.util.find_spec("timm")
    if package is None or package.origin is None or not _defined(name, Path(package.origin).parent):
        return None
    stored = _folder() / f"{name}.json"
    told: dict[str, Any]
    try:
        told = json.loads(stored.read_text())
    except (OSError, ValueError):
        told = _ask(name)
        try:
            with atomic(stored) as temporary:
                temporary.write_text(json.dumps(told))
        except (OSError, UserError):
            # A home folder that cannot be written: asked again by the next command.
            pass
    if "refused" in told:
        raise UserError(f"encoder {name}: {told['refused']}")
    return told


def _folder() -> Path:
    start = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(start) / "sista" / f"timm-{version('timm')}"


def _defined(name: str, package: Path) -> bool:
    """Return whether the source of timm defines the model: a misspelt word costs no import."""
    start = f"\ndef {name.partition('.')[0]}("
    return any(start in path.read_text() for path in (package / "models").glob("*.py"))


def _ask(name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "sista.encoders.timm_names", name]
    # Where this package lies, whatever the folder that the command was called in.
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    # No shell; the name is that of a function of timm.
    done = subprocess.run(command, capture_output=True, text=True, env=env)  # noqa: S603
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise UserError(f"encoder {name}: timm could not be asked: {reason[0]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def examine(name: str) -> dict[str, Any]:
    """Return the fields of an encoder, or the reason under `refused`."""
    import timm
    import torch
    from timm.models.vision_transformer import VisionTransformer

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
    import torch

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
