"""Segmentation: masks as the network sees them, and binary masks from logits."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData

from sista.adaptation.task import Floats, HeadTask
from sista.adaptation.views import placed
from sista.errors import UserError
from sista.openmmlab.segmentors import SegDataSample
from sista.preparation.masks import Mask, from_json, to_json

THRESHOLD = 0.5


class SegmentationTask(HeadTask):
    """One binary mask an image, in the network's square at the protocol's size.

    It is scored there too: what the zoom cuts away is neither trained nor scored.
    """

    def read_targets(self) -> None:
        """Read the masks as the network sees them."""
        self.masks = np.stack([self._mask(row) for row in range(len(self.frame))])
        self._samples: dict[int, SegDataSample] = {}

    def _mask(self, row: int) -> Mask:
        return self.geometry[row].network_mask(self._native(row))

    def _native(self, row: int) -> Mask:
        try:
            mask = from_json(self.frame["mask"].iloc[row])
            film = tuple(int(self.frame[side].iloc[row]) for side in ("height", "width"))
            if mask.shape != film:
                raise ValueError(f"of {mask.shape} px for a film of {film}")
            return mask
        except Exception as error:
            # pycocotools raises many kinds of errors on bad run lengths.
            where = f"{self.meta['dataset']} manifest, row {self.frame['row'].iloc[row]}"
            raise UserError(f"{where}: not a mask ({error}); run prepare again") from error

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

    def view_samples(self, rows: Sequence[int], places: Floats) -> list[SegDataSample]:
        """Return mmsegmentation's samples of views: each pixel takes the one under its centre."""
        frames = [self.geometry[row] for row in rows]
        squares = [replace(frame, size=frame.side, zoom=1.0) for frame in frames]
        pairs = zip(squares, rows, strict=True)
        whole = np.stack([square.network_mask(self._native(row)) for square, row in pairs])
        seen = placed(torch.from_numpy(whole)[:, None].float(), places, self.size, "nearest")
        return [SegDataSample(gt_sem_seg=PixelData(data=mask)) for mask in seen.byte()]

    def predict(self, model: BaseModel, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield a row for each image."""
        metas = [{"img_shape": (self.size, self.size)}] * len(rows)
        logits = model.encode_decode(self.features.inputs(rows), metas)
        masks = (logits[:, 0].sigmoid() > THRESHOLD).cpu().numpy()
        for mask, row in zip(masks, rows, strict=True):
            texts = {"prediction": to_json(mask), "target": to_json(self.masks[row])}
            yield {**self.identity(row), "label": self.labels[0], **texts}
