"""One pre-training step of ViT-B/16 and a 12-layer BERT, against the same step padded to 112.

The report lengths are those of the real Open-i reports, read in place from the torchxrayvision
wheel; images and tokens are random, since their values change no time. Both steps see the same
pairs. One core, in seconds of its own time, medians of interleaved repetitions; run
`OMP_NUM_THREADS=1 python -m benchmarks.speed.step`. `--sweep` compares ways of cutting instead.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertModel

from benchmarks.speed.measures import Measure, tell
from sista import registry
from sista.encoders.chunks import CHUNK_COST, ReportChunk, length_chunks
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.encoders.text import TextEncoder
from sista.engine.batches import Batch
from sista.engine.loop import Trainer
from sista.engine.model import PretrainModel
from sista.grid.budgets import BUDGETS
from sista.phantom.calibration import openi_reports
from sista.text.vocabulary import tokenise, train_vocabulary

BATCH, LONGEST, REPEATS = 16, 112, 3
Chunks = tuple[ReportChunk, ...]


def report_lengths() -> NDArray[np.int32]:
    """Return the tokens of a batch of Open-i reports, drawn with a fixed seed.

    The vocabulary is trained on the reports, so they come out somewhat shorter than with BERT's.
    """
    texts = [f"{report.impression} {report.findings}" for report in openi_reports(None)]
    table = tokenise(texts, train_vocabulary(texts, 30000), longest=LONGEST)
    typical = float(table.length.mean())
    generator = np.random.default_rng(0)
    drawn = [generator.choice(table.length, BATCH, replace=False) for _ in range(100)]
    # The batch whose mean is nearest to the corpus': a single draw could flatter either side.
    return min(drawn, key=lambda length: abs(float(length.mean()) - typical))


def batch_of(length: NDArray[np.int32], chunks: Chunks, width: int) -> Batch:
    """Return a random batch with reports of these lengths, padded to a width."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.from_numpy(length).long()
    real = torch.arange(LONGEST) < tokens[:, None]
    ids = torch.randint(1000, 30000, (BATCH, LONGEST), generator=generator) * real
    empty = torch.empty(0, dtype=torch.long)
    return Batch(
        images=torch.randint(0, 255, (BATCH, 224, 224), generator=generator).float(),
        ids=ids[:, :width],
        length=tokens,
        chunks=chunks,
        slot=empty,
        word_ids=empty,
        word_count=empty,
        sentence=empty,
        sentence_pieces=empty,
        labels=empty,
        similarity=empty,
    )


def make_trainer() -> Trainer:
    """Return the trainer of CLIP at full size, random weights, single precision."""
    torch.manual_seed(0)
    objective = registry.find("methods", "clip")()
    text = TextEncoder(BertModel(BertConfig(), add_pooling_layer=False), pool="cls")
    model = PretrainModel(ImageEncoder(encoder_spec("vit_base")), text, objective.needs, 0)
    budget = replace(BUDGETS["paper"], batch=BATCH, precision="no")
    made = Trainer(model, objective, budget, 0, torch.device("cpu"))
    made.model.train()
    return made


def seconds(steps: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median time of each step; the steps take turns, a first turn is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            started = time.process_time()
            step()
            if turn:
                spent[name].append(time.process_time() - started)
    return {name: median(times) for name, times in spent.items()}


def text_step(trainer: Trainer, batch: Batch) -> Callable[[], None]:
    """Return forward and backward of the text encoder alone."""

    def step() -> None:
        assert trainer.model.text is not None
        out = trainer.model.text(batch.ids, batch.length, batch.chunks)
        out.pooled.square().sum().backward()
        trainer.optimiser.zero_grad(set_to_none=True)

    return step


def measure() -> Iterator[Measure]:
    """Yield every figure."""
    torch.set_num_threads(1)
    length = report_lengths()
    chunks = length_chunks(length)
    share = float(length.sum()) / (BATCH * LONGEST)
    cut = batch_of(length, chunks, int(length.max()))
    padded = batch_of(length, (), LONGEST)
    trainer = make_trainer()
    texts = {"cut": text_step(trainer, cut), "padded": text_step(trainer, padded)}
    spent = seconds(texts, REPEATS)
    empty = torch.empty(0)
    whole = seconds(
        {
            "cut": lambda: trainer.step([cut], empty, 0),
            "padded": lambda: trainer.step([padded], empty, 0),
        },
        REPEATS,
    )
    named = f"ViT-B/16 + BERT, B = {BATCH}"
    gain = whole["padded"] / whole["cut"]
    yield Measure(f"{named}, throughput against padded to {LONGEST}", gain, 1.15, "x", True)
    ratio = spent["cut"] / spent["padded"]
    yield Measure(f"{named}, text time against padded", ratio, round(1.15 * share, 4), "x")
    yield Measure(f"{named}, true share of tokens", share, None, "x")
    yield Measure(f"{named}, chunks of reports", len(chunks), None, "chunks")
    for name in ("cut", "padded"):
        yield Measure(f"{named}, step, {name}", whole[name], None, "CPU s")
        yield Measure(f"{named}, text forward and backward, {name}", spent[name], None, "CPU s")


def sweep() -> Iterator[Measure]:
    """Yield the time of the text encoder for several ways of cutting."""
    torch.set_num_threads(1)
    length = report_lengths()
    ordered = np.sort(length)
    fours = np.array_split(ordered, 4)
    ways: dict[str, Chunks] = {
        "four equal": tuple(ReportChunk(len(f), int(f[-1]), False) for f in fours)
    }
    for cost in (0, CHUNK_COST // 2, CHUNK_COST, 2 * CHUNK_COST, 8 * CHUNK_COST):
        ways[f"cost {cost}"] = length_chunks(length, cost)
    trainer = make_trainer()
    steps: dict[str, Callable[[], object]] = {
        name: text_step(trainer, batch_of(length, chunks, int(length.max())))
        for name, chunks in ways.items()
    }
    for name, spent in seconds(steps, REPEATS).items():
        tokens = sum(chunk.reports * chunk.tokens for chunk in ways[name])
        more = f"{len(ways[name])} chunks, {tokens / length.sum():.3f} of the true tokens"
        yield Measure(f"text, {name}: {more}", spent, None, "CPU s")


if __name__ == "__main__":
    wanted = "--sweep" in sys.argv
    if wanted:
        sys.argv.remove("--sweep")
    tell(sweep() if wanted else measure(), __doc__ or "")
