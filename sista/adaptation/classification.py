"""Classification: targets by the label policy, the loss that heads share, and probabilities."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn import functional

from sista.adaptation.task import HeadTask
from sista.errors import UserError
from sista.openmmlab.training import PassThrough
from sista.preparation.labels import apply_policy


class Classifier(BaseModel):  # type: ignore[misc]
    """Base of classification heads: loss and probabilities from logits. Unknown labels are NaN.

    Args:
        exclusive: exactly one label holds for an image (softmax), else each by itself (sigmoid).
    """

    def __init__(self, exclusive: bool) -> None:
        super().__init__(data_preprocessor=PassThrough())
        self.exclusive = exclusive

    @abstractmethod
    def logits(self, inputs: Any) -> Tensor:
        """Return logits `[B, L]`."""

    def forward(self, inputs: Any, data_samples: Tensor | None = None, mode: str = "tensor") -> Any:
        """Return the loss (`mode="loss"`), probabilities `[B, L]` ("predict") or logits.

        Args:
            inputs: what `logits` takes.
            data_samples: targets `[B, L]` of 0, 1 and NaN.
            mode: what to return.
        """
        logits = self.logits(inputs)
        if mode == "predict":
            return logits.softmax(1) if self.exclusive else logits.sigmoid()
        if mode == "loss":
            if data_samples is None:
                raise ValueError("the loss needs targets")
            return {"loss": self.loss(logits, data_samples)}
        return logits

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy over known labels; 0 if there is none."""
        # NaN times a weight of 0 is NaN, so unknown targets are made 0 before they are left out.
        known = ~targets.isnan()
        if self.exclusive:
            rows = known.all(1)
            truth = targets.nan_to_num().argmax(1)
            each = functional.cross_entropy(logits, truth, reduction="none") * rows
            return each.sum() / rows.sum().clamp(min=1)
        summed = functional.binary_cross_entropy_with_logits(
            logits, targets.nan_to_num(), weight=known.to(logits.dtype), reduction="sum"
        )
        return summed / known.sum().clamp(min=1)


class ClassificationTask(HeadTask):
    """Multi-label (sigmoid) or multi-class (softmax) targets; unknown labels do not count."""

    def read_targets(self) -> None:
        """Read the labels by the label policy.

        Raises:
            UserError: the manifest lacks a label; names those it has.
        """
        frame, meta = self.frame, self.meta
        missing = [name for name in self.labels if f"label.{name}" not in frame]
        if missing:
            raise UserError(
                f"{meta['dataset']}: its manifest has no label {', '.join(missing)}; "
                f"it has {', '.join(meta['labels'])}"
            )
        values = frame[[f"label.{name}" for name in self.labels]].to_numpy(dtype=float)
        policy = str(self.options.get("label_policy") or meta.get("label_policy") or "as_is")
        self.targets = torch.from_numpy(apply_policy(values, self.labels, policy)).float()

    @staticmethod
    def annotated(manifest: pd.DataFrame, meta: dict[str, Any]) -> "pd.Series[bool]":
        """Return the images of a labelled data set; blank rows mean what the policy says."""
        return pd.Series(bool(meta["labels"]), index=manifest.index)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the protocol for this data set, else all labels of the data set."""
        return tuple(self.options.get("labels") or self.meta["labels"])

    def head_options(self) -> dict[str, Any]:
        """Return whether exactly one label holds for an image."""
        return {"exclusive": bool(self.meta.get("multiclass"))}

    def refusal(self, rows: Sequence[int]) -> str | None:
        """Refuse rows without any known label."""
        if not len(rows) or bool(self.targets[list(rows)].isnan().all()):
            return "no training image has a known label"
        return None

    def samples(self, rows: Sequence[int]) -> Tensor:
        """Return targets `[B, L]`."""
        return self.targets[list(rows)].to(self.features.device)

    def predict(self, model: BaseModel, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield a row for each image and label."""
        scores = model(self.features.inputs(rows), mode="predict").cpu().double().numpy()
        targets = self.targets[list(rows)].double().numpy()
        for i, row in enumerate(rows):
            ids = self.identity(row)
            for j, label in enumerate(self.labels):
                yield {**ids, "label": label, "score": scores[i, j], "target": targets[i, j]}


class LinearClassifier(Classifier):
    """One linear layer.

    Args:
        dim: width of the pooled feature.
        labels: number of labels.
        exclusive: exactly one label holds for an image.
        standardise: give every feature zero mean and unit variance first (over training batches,
            without parameters), so that methods whose features differ in scale learn at one pace. A
            batch of a single image, such as the last one of an epoch, has the running ones.
    """

    def __init__(self, dim: int, labels: int, exclusive: bool, standardise: bool) -> None:
        super().__init__(exclusive)
        self.norm = nn.BatchNorm1d(dim, affine=False) if standardise else nn.Identity()
        self.classifier = nn.Linear(dim, labels)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits `[B, L]` of pooled features `[B, D]`."""
        if self.training and len(inputs) == 1:
            self.norm.eval()
        result: Tensor = self.classifier(self.norm(inputs))
        self.norm.train(self.training)
        return result
