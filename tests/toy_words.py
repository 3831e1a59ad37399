"""A task and a protocol as a newcomer would write them, for test_adding.py."""

TASK = '''"""Brightness: the mean grey level of a film, a toy."""

from collections.abc import Iterator

import numpy as np

from sista.metrics.values import Value, value
from sista.tasks._base import Metric, Subset, Task, number


def _evaluate(subset: Subset) -> Iterator[Value]:
    error = (subset.rows["predicted"] - subset.rows["target"]).abs().to_numpy()
    values = subset.weights @ error / subset.weights.sum(1)
    yield value("mae", "all", values, len(error), "no image")


brightness = Task(
    word="brightness",
    title="Brightness",
    columns={"predicted": number("0 to 1"), "target": number("0 to 1")},
    metrics=(Metric("mae", "Mean absolute error", lower_is_better=True, percent=False),),
    evaluate=_evaluate,
    overall="all",
)
'''

ADAPTATION = '''"""Brightness as a head sees it."""

import numpy as np
import pandas as pd
import torch
from mmengine.model import BaseModel
from torch import nn

from sista.adaptation.task import HeadTask
from sista.openmmlab.training import PassThrough


class BrightnessTask(HeadTask):
    """The target of a film is its mean grey level, 0 to 1."""

    @staticmethod
    def annotated(manifest, meta):
        return pd.Series(True, index=manifest.index)

    @property
    def labels(self):
        return ("brightness",)

    def refusal(self, rows):
        return None if len(rows) else "no training image"

    def targets(self, rows):
        films = np.load(self.manifest.with_suffix(".images.npy"), mmap_mode="r")
        return [float(films[int(self.frame["row"].iloc[row])].mean()) / 255 for row in rows]

    def samples(self, rows):
        return torch.tensor(self.targets(rows))

    def predict(self, model, rows):
        found = model(self.features.inputs(rows), mode="predict").tolist()
        for row, predicted, target in zip(rows, found, self.targets(rows), strict=True):
            yield {**self.identity(row), "predicted": predicted, "target": target}


class Regressor(BaseModel):
    """One linear layer."""

    def __init__(self, dim):
        super().__init__(data_preprocessor=PassThrough())
        self.layer = nn.Linear(dim, 1)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        out = self.layer(inputs).squeeze(1)
        return {"loss": (out - data_samples).square().mean()} if mode == "loss" else out
'''

TASK_HEAD = '''"""A line through pooled features."""

from sista.adaptation.brightness import Regressor

TASK = "brightness"
ADAPTS = "frozen"
LEVELS = {"resnet": (), "vit": ()}
TRAINING = {"learning_rate": 1e-2, "weight_decay": 0.0, "batch": 8, "iterations": 20}


def line(shape, labels):
    """Build the line."""
    return Regressor(shape.dim)
'''

PROTOCOL = '''"""A toy: five steps."""

from sista.protocols._base import CLASSIFICATION, Protocol, Settings

toy_protocol = Protocol(
    word="toy_protocol",
    image_size=None,
    heads={CLASSIFICATION: {"resnet": "linear", "vit": "linear"}},
    settings={CLASSIFICATION: Settings(1e-2, 0.0, 8, iterations=5)},
)
'''
