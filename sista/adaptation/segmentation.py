"""Segmentation: masks in the image frame, and binary masks from logits."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData

from sista.adaptation.task import HeadTask
from sista.errors import UserError
from sista.openmmlab.segmentors import SegDataSample, segmentor
from sista.preparation.masks import Mask, from_json, to_json

__all__ = ["SegmentationTask", "place_mask", "segmentor"]
THRESHOLD = 0.5


def place_mask(
    mask: Mask, scale: float, pad_x: float, pad_y: float, prepared: int, size: int
) -> Mask:
    """Return a native mask in the image frame `[size, size]`, nearest pixel.

    Args:
        mask: `[h, w]` in native pixels.
        scale: prepared pixels per native pixel.
        pad_x: left offset in prepared pixels.
        pad_y: top offset in prepared pixels.
        prepared: side of the prepared image.
        size: side of the result.
    """
    centres = (np.arange(size) + 0.5) * prepared / size
    columns = np.floor((centres - pad_x) / scale).astype(int)
    lines = np.floor((centres - pad_y) / scale).astype(int)
    height, width = mask.shape
    inside_x = (columns >= 0) & (columns < width)
    inside_y = (lines >= 0) & (lines < height)
    placed = mask[np.ix_(lines.clip(0, height - 1), columns.clip(0, width - 1))]
    result: Mask = placed * np.outer(inside_y, inside_x).astype(np.uint8)
    return result


class SegmentationTask(HeadTask):
    """One binary mask an image, at the protocol's image size, where it is also scored."""

    TABLE = "predictions_segmentation"

    def __init__(
        self, frame: pd.DataFrame, meta: dict[str, Any], size: int, options: dict[str, Any]
    ) -> None:
        super().__init__(frame, meta, size, options)
        self.masks = np.stack([self._mask(row) for row in frame.to_dict("records")])
        self._samples: dict[int, SegDataSample] = {}

    def _mask(self, row: dict[Any, Any]) -> Mask:
        try:
            mask = from_json(row["mask"])
        except Exception as error:
            # pycocotools raises many kinds of errors on bad run lengths.
            place = f"{self.meta['dataset']} manifest, row {row['row']}"
            raise UserError(f"{place}: not a mask ({error}); run prepare again") from error
        prepared = int(self.meta["prepared_size"])
        return place_mask(mask, row["scale"], row["pad_x"], row["pad_y"], prepared, self.size)

    @staticmethod
    def annotated(manifest: pd.DataFrame, meta: dict[str, Any]) -> "pd.Series[bool]":
        """Return the images with a mask, empty ones included."""
        return manifest["mask"].notna()

    @property
    def labels(self) -> tuple[str, ...]:
        """The one thing that is segmented."""
        return (str(self.meta.get("mask_label") or "mask"),)

    def refusal(self, rows: Sequence[int]) -> str | None:
        """Refuse rows without a single positive pixel."""
        if not len(rows) or not self.masks[list(rows)].any():
            return "no training image has a positive mask"
        return None

    def samples(self, rows: Sequence[int]) -> list[SegDataSample]:
        """Return mmsegmentation's samples, made once an image."""
        for row in rows:
            if row not in self._samples:
                truth = torch.from_numpy(self.masks[row]).unsqueeze(0)
                self._samples[row] = SegDataSample(gt_sem_seg=PixelData(data=truth))
        return [self._samples[row] for row in rows]

    def predict(self, model: BaseModel, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield a row for each image."""
        metas = [{"img_shape": (self.size, self.size)}] * len(rows)
        logits = model.encode_decode(self.features.inputs(rows), metas)
        found = (logits[:, 0].sigmoid() > THRESHOLD).cpu().numpy()
        for mask, row in zip(found, rows, strict=True):
            texts = {"prediction": to_json(mask), "target": to_json(self.masks[row])}
            yield {**self.identity(row), "label": self.labels[0], **texts}
