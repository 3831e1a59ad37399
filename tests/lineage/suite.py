"""Results of a small grid: stubs of the first four stages with records, real scores and report."""

from pathlib import Path

import pandas as pd

from sista import tables
from sista.files import sha256
from sista.runs.record import Made, recorded
from sista.stages import score
from sista.stages.fetch import CACHE, listing_hash
from sista.stages.report import report
from tests import made_up_predictions as made

GRID = """
title: Made-up suite
budget: quick
corpus: mimic_cxr@phantom
encoders: [resnet_tiny, vit_tiny]
variants: [random_init, clip]
draws: [0, 1]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom, task: classification}
"""
# What tells the releases of the two data sets.
MARKERS = {
    "chexpert@phantom": ("train.csv", "valid.csv"),
    "mimic_cxr@phantom": ("mimic-cxr-2.0.0-split.csv",),
}


@recorded("fetch")
def fetch(word: str, *, out: Path) -> Made:
    raw = out.parent / "raw"
    raw.mkdir()
    for name in MARKERS[word]:
        (raw / name).write_text(f"{word}\n")
    rows = []
    for path in sorted(raw.iterdir()):
        state = path.stat()
        times = {"mtime_ns": state.st_mtime_ns, "ctime_ns": state.st_ctime_ns}
        rows.append({"path": path.name, "size": state.st_size, "sha256": sha256(path), **times})
    frame = pd.DataFrame(rows)
    tables.write(frame, out.parent / CACHE, "inventory")
    tables.write(frame[["path", "size", "sha256"]], out, "inventory")
    facts = {"release": "1", "licence": "made up", "n": len(frame), "bytes": 1}
    facts["raw_sha256"] = listing_hash(frame)
    return Made([out], [], {"dataset": word}, facts=facts)


@recorded("prepare")
def prepare(word: str, *, out: Path, inventory: Path) -> Made:
    out.write_text(f"manifest of {word}")
    return Made([out], [inventory], {"dataset": word})


@recorded("pretrain")
def pretrain(*, out: Path, manifest: Path, text: str) -> Made:
    out.write_text(text)
    return Made([out], [manifest], {"text": text}, {"pretrain": 0})


@recorded("adapt")
def adapt(root: Path, run, *, out: Path, manifest: Path, encoder: Path) -> Made:
    made.write(root, run)
    return Made([out], [manifest, encoder], {"draws": [0, 1]}, {"head 0,1": 1})


def build() -> None:
    """Make the grid and all its results in the current folder."""
    Path("suite.yaml").write_text(GRID)
    results = Path("results")
    for word in MARKERS:
        listing = results / "fetch" / word / "inventory.parquet"
        fetch(word, out=listing)
        prepare(word, out=results / "prepare" / word / "manifest.parquet", inventory=listing)
    for run in made.runs(variants=("random_init", "clip"), tasks=("classification",)):
        encoder = results / Path(run.pretrain.checkpoint).relative_to("results")
        corpus = results / "prepare" / run.pretrain.corpus / "manifest.parquet"
        pretrain(out=encoder, manifest=corpus, text=run.pretrain.checkpoint)
        manifest = results / "prepare" / run.dataset / "manifest.parquet"
        adapt(Path(), run, out=Path(run.predictions), manifest=manifest, encoder=encoder)
    scores = results / "score" / "suite.parquet"
    grid = Path("suite.yaml")
    score.score(grid=grid, out=scores, results=results, bootstrap=20)
    report(grid=grid, scores=scores, out=results / "report" / "suite", results=results)
