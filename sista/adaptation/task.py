"""What all heads share: which images, batches, validation loss, predictions."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mmengine.model import BaseModel
from numpy.typing import NDArray

from sista.encoders.features import FeatureStore, at_once
from sista.errors import UserError
from sista.preparation.frame import Frame

Batch = dict[str, Any]
Floats = NDArray[np.float64]
EVALUATION_BATCH = 64


class HeadTask(ABC):
    """A data set seen by one kind of head. Rows are positions in `frame` and in the features.

    Args:
        frame: manifest rows of the images that are annotated for this task.
        meta: the manifest's metadata.
        size: side of the protocol's image in pixels.
        zoom: the image is scaled to this many times `size` and the centre is cut out, >= 1.
        options: of the protocol, e.g. `labels` and `label_policy`.
    """

    features: FeatureStore
    # Set by the job.
    manifest: Path

    def __init__(
        self,
        frame: pd.DataFrame,
        meta: dict[str, Any],
        size: int,
        zoom: float,
        options: dict[str, Any],
    ) -> None:
        self.frame, self.meta, self.options = frame, meta, options
        self.size, self.zoom = size, zoom
        self._ids = list(zip(frame["image_id"], frame["patient_id"], strict=True))
        self.read_targets()

    def read_targets(self) -> None:
        """Read the targets of all rows, once; what is wrong in them is said before encoding."""
        return

    @cached_property
    def geometry(self) -> list[Frame]:
        """Where each row's film lies in the protocol's image."""
        rows, prepared = self.frame.to_dict("records"), int(self.meta["prepared_size"])
        return [Frame.of(row, prepared, self.size, self.zoom) for row in rows]

    @staticmethod
    @abstractmethod
    def annotated(manifest: pd.DataFrame, meta: dict[str, Any]) -> "pd.Series[bool]":
        """Return which images can be used for this task."""

    @property
    def read(self) -> list[Path]:
        """Files beside manifest, split and images that the predictions depend on."""
        return []

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The labels a head gives, in order."""

    @abstractmethod
    def refusal(self, rows: Sequence[int]) -> str | None:
        """Return why a head cannot be trained on these rows, or None."""

    @abstractmethod
    def samples(self, rows: Sequence[int]) -> Any:
        """Return the targets in the form the model takes."""

    def view_samples(self, rows: Sequence[int], places: Floats) -> Any:
        """Return the targets of views that lie at `places` of the images; see `views.placed`."""
        return self.samples(rows)

    @abstractmethod
    def predict(self, model: BaseModel, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield the task's own columns of the predictions table for a batch of rows."""

    def head_options(self) -> dict[str, Any]:
        """Return what the data decide about the head."""
        return {}

    def batch(self, rows: list[int]) -> Batch:
        """Return the model's inputs and targets."""
        return {"inputs": self.features.inputs(rows), "data_samples": self.samples(rows)}

    def unjudged(self, rows: Sequence[int], monitor: str) -> str | None:
        """Return why these validation images cannot tell when to stop, or None."""
        return None if len(rows) else f"no validation image to stop by its {monitor}"

    @torch.no_grad()
    def validation_loss(self, model: BaseModel, rows: Sequence[int]) -> float:
        """Return the mean loss over `rows`, by images."""
        model.eval()
        total = 0.0
        for part in self._parts(rows):
            data = model.data_preprocessor(self.batch(part))
            loss, _ = model.parse_losses(model(**data, mode="loss"))
            total += float(loss) * len(part)
        return total / len(rows)

    def validation_score(self, model: BaseModel, rows: Sequence[int]) -> float:
        """Return the score of the protocol's `monitor` on `rows`, where the task has one."""
        raise UserError(f"{type(self).__name__} can only be monitored by its loss")

    @torch.no_grad()
    def predictions(self, model: BaseModel, rows: Sequence[int]) -> pd.DataFrame:
        """Return the task's columns of the predictions table, with image and patient ids."""
        model.eval()
        records = [record for part in self._parts(rows) for record in self.predict(model, part)]
        return pd.DataFrame(records)

    def identity(self, row: int) -> dict[str, Any]:
        """Return the id columns of a row."""
        image, patient = self._ids[row]
        return {"image_id": image, "patient_id": patient}

    def _parts(self, rows: Sequence[int]) -> Iterator[list[int]]:
        # An untrained head may take no features.
        kept = getattr(self, "features", None)
        size = EVALUATION_BATCH
        if kept is not None:
            size = at_once(kept.device, self.size, EVALUATION_BATCH)
        for start in range(0, len(rows), size):
            yield list(rows[start : start + size])
