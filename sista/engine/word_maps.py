"""Where the words of validation reports look, kept for the report's sheets."""

from pathlib import Path

import numpy as np
import torch

from sista.engine.compiled import as_compiled
from sista.engine.loop import Trainer
from sista.engine.sources import Source, known_labels
from sista.files import atomic

MAPS_SHOWN = 6


@torch.no_grad()
def write_word_maps(path: Path, trainer: Trainer, val: Source) -> None:
    """Write where the words of a few validation reports look, for the report's sheets."""
    batch = next(iter(trainer.batches(val, known_labels(val.pairs))))
    with as_compiled(trainer.mode):
        e = trainer.model(batch)
    weights = trainer.objective.word_patch_weights(e)
    if weights is None or e.word_ids is None or val.tokens is None:
        return
    # Abnormal studies with long reports show most.
    positive = np.nan_to_num(val.pairs.labels[: len(batch.images)]).clip(0).sum(1)
    shown = np.argsort(-positive, kind="stable")[:MAPS_SHOWN]
    ids = e.word_ids.cpu().numpy()[shown]
    names = np.array([*val.tokens.words, ""])
    side = round(weights.shape[-1] ** 0.5)
    maps = weights.cpu().numpy()[shown].reshape(len(shown), -1, side, side)
    with atomic(path) as temporary:
        np.savez_compressed(
            temporary,
            images=batch.images.cpu().numpy()[shown].astype(np.uint8),
            words=names[ids],
            weights=maps.astype(np.float32),
            valid=ids >= 0,
            image_id=np.array(val.pairs.frame["image_id"].to_numpy()[shown], dtype=str),
        )
