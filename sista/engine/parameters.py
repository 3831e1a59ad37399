"""The parameters of a training, as its optimiser groups them."""

from typing import Any

from torch import nn


def parameter_groups(model: nn.Module, objective: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return parameter groups: matrices are decayed, biases and norms not, temperatures apart."""
    every = [p for m in (model, objective) for p in m.parameters() if p.requires_grad]
    return [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": decay, "role": "matrix"},
        {"params": [p for p in every if p.ndim == 1], "weight_decay": 0.0, "role": "vector"},
        {"params": [p for p in every if p.ndim == 0], "weight_decay": 0.0, "role": "temperature"},
    ]
