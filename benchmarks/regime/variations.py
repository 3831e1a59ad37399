"""Ideas that are no field of a budget or encoder: each is a context that changes the library.

What came out of them is in README.md. A variation is undone when its context ends.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sista.encoders import image, text
from sista.engine import loop, model, sources, views
from sista.engine.films import Films

Variation = Callable[[Any], AbstractContextManager[None]]


@contextmanager
def jitter(size: float) -> Iterator[None]:
    """Scale how much brightness and contrast of training views differ (1 = as it is)."""

    def augment(
        films: Films,
        rows: NDArray[np.int64],
        *,
        side: int,
        seed: int,
        epoch: int,
        flip: bool,
        device: torch.device,
    ) -> Tensor:
        draw = views.uniform(seed, epoch, rows, 5)
        corner = (draw[:, :2] * (films.side - side + 1)).astype(np.int64)
        out = torch.from_numpy(films.crops(rows, corner, side)).float()
        contrast = torch.from_numpy(1 + size * 0.4 * (draw[:, 2] - 0.5)).float()[:, None, None]
        brightness = torch.from_numpy(size * 51.0 * (draw[:, 3] - 0.5)).float()[:, None, None]
        mean = out.mean((1, 2), keepdim=True)
        return out.sub_(mean).mul_(contrast).add_(mean + brightness).clamp_(0.0, 255.0)

    with patch.object(loop, "augment", augment):
        yield


@contextmanager
def adam(given: dict[str, Any]) -> Iterator[None]:
    """Other betas and epsilon of AdamW."""
    original = torch.optim.AdamW

    def made(groups: Any, **others: Any) -> torch.optim.AdamW:
        return original(
            groups, **others, **{k: tuple(v) if k == "betas" else v for k, v in given.items()}
        )

    with patch.object(torch.optim, "AdamW", made):
        yield


@contextmanager
def bert_std(std: float) -> Iterator[None]:
    """Another spread of the report encoder's linear layers at the start (BERT: 0.02)."""
    original = sources.small_bert

    def made(vocabulary: int, longest: int) -> text.TextEncoder:
        encoder = original(vocabulary, longest)
        for layer in encoder.body.encoder.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=std)
        return encoder

    with patch.object(sources, "small_bert", made):
        yield


@contextmanager
def short_stem(width: int) -> Iterator[None]:
    """Two convolutions of stride 2 in place of a ResNet's three and the pooling."""
    original = image._create

    def made(spec: Any, arguments: dict[str, Any], pretrained: bool) -> Any:
        body = original(spec, arguments, pretrained)
        if spec.family == "resnet":
            norm, act = torch.nn.BatchNorm2d(width), torch.nn.ReLU(inplace=True)
            outer = body.bn1.num_features
            first = torch.nn.Conv2d(3, width, 3, 2, 1, bias=False)
            second = torch.nn.Conv2d(width, outer, 3, 2, 1, bias=False)
            for layer in (first, second):
                torch.nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            body.conv1 = torch.nn.Sequential(first, norm, act, second)
            body.maxpool = torch.nn.Identity()
        return body

    with patch.object(image, "_create", made):
        yield


@contextmanager
def position_std(std: float) -> Iterator[None]:
    """Another spread of a ViT's position embedding at the start (timm: 0.02)."""
    original = image._create

    def made(spec: Any, arguments: dict[str, Any], pretrained: bool) -> Any:
        body = original(spec, arguments, pretrained)
        if spec.family == "vit":
            torch.nn.init.normal_(body.pos_embed, std=std)
        return body

    with patch.object(image, "_create", made):
        yield


@contextmanager
def norm_first(side: str) -> Iterator[None]:
    """Batch norm before the global projections too: of the image, or of both sides."""
    original = model._projection
    made: list[bool] = []

    def projection(inputs: int, *form: Any) -> torch.nn.Sequential:
        made.append(True)
        head = original(inputs, *form)
        if side == "both" or len(made) == 1:
            return torch.nn.Sequential(torch.nn.BatchNorm1d(inputs, affine=False), *head)
        return head

    with patch.object(model, "_projection", projection):
        yield


@contextmanager
def projector(kind: str) -> Iterator[None]:
    """Another form of the global projections: `mlp`."""
    original = model._projection

    def projection(inputs: int, width: int, norm: Any, _: str) -> torch.nn.Sequential:
        return original(inputs, width, norm, kind)

    with patch.object(model, "_projection", projection):
        yield


VARIATIONS: dict[str, Variation] = {
    "jitter": jitter,
    "adam": adam,
    "bert_std": bert_std,
    "short_stem": short_stem,
    "position_std": position_std,
    "norm_first": norm_first,
    "projector": projector,
}
