"""Stage adapt: one encoder and one head on one data set, at all label fractions and draws."""

import time
from pathlib import Path
from typing import Any

from sista import registry, tables
from sista.adaptation.asked import Asked
from sista.adaptation.finished_heads import FinishedHeads
from sista.adaptation.job import Job, head_seed, open_job
from sista.adaptation.settings import read_changes
from sista.protocols._base import Protocol
from sista.runs import provenance
from sista.runs.options import Cells, Threads
from sista.runs.progress import track
from sista.runs.record import Made, recorded


@recorded("adapt")
def adapt(
    *,
    protocol: str,
    dataset: str,
    head: str,
    manifest: Path,
    split: Path,
    encoder: Path,
    out: Path,
    draws: Cells,
    fractions: Cells,
    budget: str = "quick",
    settings: str = "{}",
    threads: Threads = 1,
    device: str = "auto",
) -> Made:
    """Train a head at each label fraction and draw; predict the validation and test images.

    A frozen encoder sees every image once. A killed job goes on with the first head that is not
    finished, and gives the same numbers.

    Args:
        protocol: word of the protocol.
        dataset: reference of the data set, e.g. `rsna_pneumonia@phantom`.
        head: word of the head.
        manifest: the data set's manifest, FILE.parquet, with its images beside it.
        split: the data set's split, FILE.split.parquet.
        encoder: checkpoint of the pre-trained encoder.
        out: predictions to write, with run.json beside them.
        draws: label subsets; also the seed of each head. 0 for a head that is not trained.
        fractions: percent of the training labels. 0 for a head that is not trained.
        budget: pre-training length of the encoder; must be the checkpoint's own.
        settings: JSON object of the settings that differ from the protocol's and the head's.
        threads: threads to compute with; part of the result's bits.
        device: auto, cpu or cuda.

    Raises:
        UserError: a word, a file or a setting is wrong; names it and the remedy.
    """
    rules: Protocol = registry.find("protocols", protocol)
    cells = tuple((draw, fraction) for draw in draws for fraction in fractions)
    changes = read_changes(settings, head)
    scratch = out.with_name(f".{out.stem}.parts")
    files = (manifest, split, encoder)
    asked = Asked(rules, dataset, head, *files, cells, changes, scratch, threads, device, budget)
    # Before a file is opened: a wrong setting is told in a second, not after encoding.
    asked.check_settings()
    job = open_job(asked)
    read = [*files, manifest.with_suffix(".images.npy"), *job.task.read]
    finished = FinishedHeads(out, job.run, read)
    _adapt_all(job, finished)
    facts = _write(job, finished, out)
    run = job.run | {"draws": draws, "fractions": fractions}
    # Of heads that were made: what was refused had neither settings nor a seed.
    refused = {(each["draw"], each["fraction"]) for each in facts["refused"]}
    made = [cell for cell in cells if cell not in refused]
    run["resolved"] = {str(fraction): job.resolved(fraction) for _, fraction in made}
    seeds = {f"head {d},{f}": head_seed(d, f) for d, f in made} | {"pretrain": job.run["seed"]}
    return Made([out], read, run, seeds, facts, finished.remove)


def _adapt_all(job: Job, finished: FinishedHeads) -> None:
    """Make the heads that are not finished, one after the other."""
    for draw, fraction in track(job.asked.cells, f"adapt {job.asked.head}"):
        if not finished.has(draw, fraction):
            begun = time.monotonic()
            frame, reason = job.adapt(draw, fraction, finished.folder)
            finished.put(draw, fraction, frame, reason, time.monotonic() - begun)


def _write(job: Job, finished: FinishedHeads, out: Path) -> dict[str, Any]:
    """Write the predictions of all heads; return the run's facts."""
    kind = f"predictions_{job.asked.task}"
    frame, refused, walls = finished.collect(job.asked.cells, tables.schema(kind).columns)
    run = job.run | {"wall_s": walls, "peak_mb": provenance.peak_mb(), "host": provenance.host()}
    meta: dict[str, Any] = {"run": run, "refused": refused, "labels": list(job.task.labels)}
    meta |= {"multiclass": bool(job.task.meta.get("multiclass")), "zoom": job.task.zoom}
    tables.write(frame, out, kind, meta)
    return {"refused": refused, "head_wall_s": walls}
