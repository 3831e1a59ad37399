"""Batches of one subset of the corpus: images as drawn, tokens, labels and report similarity."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from sista.engine.corpus import Batch, Pairs, token_batch
from sista.engine.views import Views
from sista.reports.similarity import similarity
from sista.reports.vocabulary import TokenTable


@dataclass(frozen=True)
class Source:
    """One subset of the corpus, ready for batches."""

    pairs: Pairs
    tokens: TokenTable | None
    vectors: sparse.csr_matrix | None

    def __len__(self) -> int:
        """Return the number of studies."""
        return len(self.pairs.frame)

    def batch(
        self,
        rows: NDArray[np.int64],
        views: Views,
        device: torch.device,
        policy: Tensor,
        among: NDArray[np.int64] | None = None,
    ) -> Batch:
        """Put the parts of a batch on the device.

        Args:
            rows: studies.
            views: of their images.
            device: of the model.
            policy: `[N, C]` labels after the policy for uncertain ones.
            among: the whole contrastive batch where `rows` are a part of it: then padded for it,
                and without similarity.
        """
        number = torch.from_numpy(rows)
        second, boxes = (None if v is None else v.to(device, non_blocking=True) for v in views[1:])
        return Batch(
            views.first.to(device, non_blocking=True),
            *token_batch(self.tokens, rows, device, among),
            labels=policy[number].to(device),
            similarity=self.alike(rows, device) if among is None else torch.empty(0, device=device),
            rows=number.to(device),
            second=second,
            boxes=boxes,
            normal=torch.from_numpy(self.pairs.normal[rows]).to(device),
        )

    def alike(self, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        """Return the similarity `[B, B]` of reports; empty where the method needs none."""
        if self.vectors is None:
            return torch.empty(0, device=device)
        return torch.from_numpy(similarity(self.vectors, rows)).to(device)


def known_labels(pairs: Pairs) -> Tensor:
    """Return training labels `[N, C]`, 1/0/NaN.

    Uncertain counts as present; what is not mentioned as absent where the study has any label.
    """
    labels = np.where(pairs.labels == -1, 1.0, pairs.labels)
    some = ~np.isnan(labels).all(axis=1, keepdims=True)
    return torch.from_numpy(np.where(np.isnan(labels) & some, 0.0, labels)).float()
