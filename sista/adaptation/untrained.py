"""Heads without training: zero-shot prompts, retrieval, grounding. They use no label."""

from collections.abc import Sequence
from pathlib import Path

from sista import registry
from sista.adaptation import frozen
from sista.adaptation.job import Job, Outcome
from sista.encoders.checkpoint import read_metadata
from sista.encoders.features import FeatureStore
from sista.engine.restored import restore
from sista.openmmlab.loading import quiet


def features(job: Job, levels: Sequence[int], zoom: float) -> FeatureStore:
    """Return the encoder's features, shared with frozen heads."""
    return frozen.features(job, levels, zoom)


def adapt(job: Job, draw: int, fraction: int, folder: Path) -> Outcome:
    """Put the head together from the checkpoint and predict; see `Job.adapt`.

    A method without a report encoder has no such head: that is no error, its cells are n/a.
    """
    if not read_metadata(job.asked.encoder).get("tokenizer"):
        return None, f"method {job.run['method']} has no report encoder"
    options = job.head_options(fraction)
    run = restore(job.asked.encoder, job.device)
    with quiet():
        model = registry.find("heads", job.asked.head)(run, job.task.labels, **options)
    return job.predict(model).assign(draw=draw, fraction=fraction), None
