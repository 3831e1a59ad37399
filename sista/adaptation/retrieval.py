"""Retrieval: vectors of films and reports in their shared space, with what is needed to score."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch.nn import functional

from sista.adaptation.studies import StudyTask
from sista.engine.interface import required
from sista.engine.pairs import NO_DISEASE, NO_FINDING, Pairs
from sista.engine.restored import Restored
from sista.tasks._arrays import pack


class RetrievalTask(StudyTask):
    """Studies of a subset find each other."""

    def predictions(self, model: Any, rows: Sequence[int]) -> pd.DataFrame:
        """Return a row for each film; `model` is the restored run."""
        if not len(rows):
            return pd.DataFrame()
        return pd.DataFrame(list(self.predict(model, rows)))

    def predict(self, model: Restored, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield a row for each film: unit vectors of film and report, findings, normal or not."""
        pairs = self.pairs(rows, model.stored_size)
        embedded = model.embed(pairs, model.tokens(list(pairs.frame["report"])))
        film, report = (
            functional.normalize(required(part), dim=1).float().cpu().numpy()
            for part in (embedded.image, embedded.report)
        )
        labels = _findings(pairs)
        study = pairs.frame["study_id"].fillna(pairs.frame["image_id"]).astype(str)
        for n, row in enumerate(rows):
            known = [None if np.isnan(value) else float(value) for value in labels[n]]
            yield {
                **self.identity(row),
                "study_id": study.iloc[n],
                "film": pack(film[n]),
                "report": pack(report[n]),
                "findings": json.dumps(known),
                "normal": float(pairs.normal[n]),
            }


def _findings(pairs: Pairs) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the labels of diseases, `[N, C]`: blank ones are absent where any is known."""
    names = pairs.label_names
    disease = [n for n, name in enumerate(names) if name not in (NO_FINDING, *NO_DISEASE)]
    # A normal study often says so in one label and leaves the others blank.
    known = ~np.isnan(pairs.labels).all(1, keepdims=True)
    labels: np.ndarray[Any, np.dtype[np.float64]]
    labels = np.where(known, np.nan_to_num(pairs.labels), np.nan)[:, disease]
    return labels
