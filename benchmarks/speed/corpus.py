"""A corpus of any size: what a run keeps of it in memory, and how soon its epoch starts.

The container is a file with holes and the tables are made up, so that the disk has room. A first
process tokenises and compares the reports, as the first run of a corpus does; a second one is
measured. `OMP_NUM_THREADS=1 python -m benchmarks.speed.corpus [--studies 5000000]`.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.speed.measures import Measure, resident_mb, tell
from sista import registry, tables
from sista.engine.corpus import Corpus
from sista.text.vocabulary import train_vocabulary

# MIMIC-CXR's films.
STUDIES, SIDE, BATCHES = 377_110, 256, 40
FINDINGS = "effusion opacity edema nodule cardiomegaly fracture pneumothorax device".split()
FEWEST = 2000


def make(folder: Path, studies: int) -> Corpus:
    """Write a made-up corpus of so many studies, a tenth of them for validation up to 2,000."""
    manifest = folder / "manifest.parquet"
    corpus = Corpus(manifest, folder / "manifest.split.parquet")
    shape = (studies, SIDE, SIDE)
    np.lib.format.open_memmap(corpus.images, "w+", np.uint8, shape).flush()
    generator = np.random.default_rng(0)
    texts = [
        ". ".join(f"left {word}" for word in generator.permutation(FINDINGS)[:3])
        for _ in range(500)
    ]
    ids = [f"{number:08d}-made-up-film" for number in range(studies)]
    frame = pd.DataFrame({"image_id": ids, "patient_id": ids, "study_id": ids, "path": ids})
    frame = frame.assign(view=None, row=np.arange(studies), height=SIDE, width=SIDE, scale=1.0)
    frame = frame.assign(pad_x=0.0, pad_y=0.0, spacing=np.nan, boxes=None, mask=None)
    frame["report"] = [texts[n] for n in generator.integers(0, len(texts), studies)]
    frame = frame.assign(release="1", content_hash=ids, official=None)
    frame = frame.assign(**{f"label.{name}": 0.0 for name in FINDINGS})
    meta = {"dataset": "made", "labels": FINDINGS, "images": corpus.images.name}
    meta |= {"vocabulary": corpus.vocabulary.name, "n": studies, "prepared_size": SIDE}
    tables.write(frame, manifest, "manifest", meta)
    validation = min(studies // 10, FEWEST)
    subset = np.where(np.arange(studies) < studies - validation, "train", "val")
    place = np.where(subset == "train", 100, -1)
    draw = np.where(subset == "train", 0, -1)
    split = pd.DataFrame({"dataset": "made", "subset": subset, "draw": draw, "fraction": place})
    split["image_id"] = ids
    tables.write(split, corpus.split, "split", {"dataset": "made", "hash": "0"})
    corpus.vocabulary.write_text(train_vocabulary(texts).to_str())
    return corpus


def start(corpus: Corpus, batches: int) -> dict[str, float]:
    """Open a corpus as a run of `sista` with budget `paper` does, and prepare some batches."""
    import torch

    from sista.engine.randomness import permutation
    from sista.engine.sources import known_labels, load_sources
    from sista.engine.views import Views, augment
    from sista.grid.budgets import BUDGETS

    torch.set_num_threads(1)
    needs, budget = registry.find("methods", "sista")().needs, BUDGETS["paper"]
    before, begun = resident_mb(), time.perf_counter()
    opened = time.process_time()
    data = load_sources(corpus, side=224, needs=needs, budget=budget, text="bert_tiny").train
    labels = known_labels(data.pairs)
    order = permutation(0, 0, len(data))
    found: dict[str, float] = {}
    for number in range(batches):
        rows = order[number * budget.batch : (number + 1) * budget.batch]
        form = {"side": 224, "seed": 0, "epoch": 0}
        views = Views(augment(data.pairs.images, rows, flip=False, **form))
        data.batch(rows, views, torch.device("cpu"), labels)
        if not number:
            found = {
                "seconds": time.perf_counter() - begun,
                "own": time.process_time() - opened,
            }
    # A batch of images as floats is 29 MB, and none is held here.
    return found | {"mb": resident_mb() - before, "peak": resident_mb("VmHWM") - before}


def measured(corpus: Corpus, batches: int = BATCHES) -> dict[str, float]:
    """Return what `start` finds in a fresh process."""
    told = subprocess.run(
        [sys.executable, "-m", __spec__.name, "--corpus", str(corpus.manifest), str(batches)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return found


def measure(studies: int) -> Iterator[Measure]:
    """Yield every figure."""
    with TemporaryDirectory() as folder:
        corpus = make(Path(folder), studies)
        first = measured(corpus, 1)
        again = measured(corpus)
    named = f"{studies:,} images of {SIDE} px"
    # The goal is for a corpus like MIMIC-CXR.
    seconds, memory = (10.0, 2048.0) if studies <= STUDIES else (None, None)
    yield Measure(f"{named}, first run of the corpus: to the first batch", first["own"], None, "s")
    yield Measure(f"{named}, to the first batch, time of the process", again["own"], seconds, "s")
    yield Measure(f"{named}, to the first batch, of the clock", again["seconds"], None, "s")
    yield Measure(f"{named}, memory after {BATCHES} batches", again["mb"], memory, "MB")
    yield Measure(f"{named}, peak memory", again["peak"], memory, "MB")


if __name__ == "__main__":
    if "--corpus" in sys.argv:
        manifest = Path(sys.argv[2])
        found = start(Corpus(manifest, manifest.with_suffix(".split.parquet")), int(sys.argv[3]))
        print(json.dumps(found))
    else:
        parser = argparse.ArgumentParser(add_help=False)
        parser.add_argument("--studies", type=int, default=STUDIES)
        given, sys.argv[1:] = parser.parse_known_args()
        tell(measure(given.studies), __doc__ or "")
