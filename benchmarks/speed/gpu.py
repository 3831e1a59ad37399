"""A training step on a GPU, as JSON lines; without a GPU, what a CPU can tell of it.

Run `OMP_NUM_THREADS=1 python -m benchmarks.speed.gpu --out FILE.jsonl`. Random weights and made-up
studies: no network. It ends within `--seconds`; what did not fit is named. See README.md here.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed import made_up
from benchmarks.speed.made_up import STUDIES
from benchmarks.speed.measures import OperationCounter, machine
from sista.engine.batches import Batch
from sista.engine.loop import Trainer
from sista.engine.machine import AHEAD, Machine, Mode
from sista.engine.randomness import permutation
from sista.engine.sources import Source, known_labels
from sista.runs.feeding import fed

# Steps that are timed, after as many as it takes to compile and to record graphs.
TIMED, WARM = 20, 8
# Operations of a forward pass for an image and for a token, in units of 1e9, a product and a sum
# being two; forward and backward take three times as many.
IMAGE_GIGA = {"vit_base": 33.7, "resnet50": 8.2}
TOKEN_GIGA = 0.17
PEAK_TERA = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
Fact = dict[str, Any]
Step = tuple[list[Batch], Tensor]


def batches(made: Trainer, data: Source, count: int) -> Callable[[int], Step]:
    """Return what makes the chunks and similarities of a step by its number."""
    size, labels = made.budget.batch, known_labels(data.pairs)
    order = permutation(0, 0, len(data))

    def make(number: int) -> Step:
        start = number % (len(data) // size) * size
        rows = order[start : start + size]
        return made.chunks(data, rows, number, labels), data.alike(rows, made.device)

    return make


def rows_of(variant: str, encoder: str, precision: str, compiled: bool) -> Fact:
    """Return the words that name a line."""
    return {"variant": variant, "encoder": encoder, "precision": precision, "compiled": compiled}


def configurations() -> Iterator[tuple[str, str, str, bool]]:
    """Yield what is measured, the goals first."""
    goals = [("clip", "vit_base"), ("sista", "vit_base"), ("clip", "resnet50")]
    for compiled in (True, False):
        yield from ((*goal, "bf16", compiled) for goal in goals)
    precisions, encoders = ("bf16", "fp16", "no"), ("vit_base", "resnet50")
    every = product(made_up.VARIANTS, encoders, precisions, (False, True))
    # Compiling takes a minute each: what is not a goal comes uncompiled first.
    for one in sorted(every, key=lambda one: (one[3], one[2] == "no")):
        if (one[0], one[1]) not in goals or one[2] != "bf16":
            yield one


def timed(made: Trainer, make: Callable[[int], Step]) -> Fact:
    """Return times of steps with resident data, then with data from the disk."""
    torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    resident = [make(number) for number in range(4)]
    parts = made.step(*resident[0], 0)
    torch.cuda.synchronize()
    first = time.perf_counter() - begun
    for number in range(1, WARM):
        parts = made.step(*resident[number % 4], number)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for number in range(TIMED):
        parts = made.step(*resident[number % 4], number)
    torch.cuda.synchronize()
    step = (time.perf_counter() - begun) / TIMED
    tokens = float(np.mean([sum(int(c.length.sum()) for c in each[0]) for each in resident]))
    # Other lengths of the reports' row than seen before are compiled and recorded once, not timed.
    twice = range(2 * STUDIES // made.budget.batch)
    for number, given in enumerate(fed(make, twice, made.device, AHEAD)):
        made.step(*given, number)
    torch.cuda.synchronize()
    waited, begun = 0.0, time.perf_counter()
    feed = fed(make, range(TIMED), made.device, AHEAD)
    for number in range(TIMED):
        asked = time.perf_counter()
        given = next(feed)
        waited += (time.perf_counter() - asked) * (number > 0)
        parts = made.step(*given, number)
    torch.cuda.synchronize()
    fed_step = (time.perf_counter() - begun) / TIMED
    size = made.budget.batch
    return {
        "first_step_s": first,
        "ms": 1000 * step,
        "pairs_s": size / step,
        "images_s": size / step,
        "tokens_s": tokens / step,
        "tokens": tokens,
        "fed_ms": 1000 * fed_step,
        "waiting_share": waited / (fed_step * TIMED),
        "peak_gb": torch.cuda.max_memory_allocated() / 2**30,
        "loss": float(parts["loss"]),
        "host_reads": waits(made, resident[0]),
        **traced(made, resident[0]),
    }


def waits(made: Trainer, given: Step) -> int:
    """Return how often a step waits for the device, as CUDA itself tells."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        made.step(*given, 0)
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(each.message) for each in told)


def traced(made: Trainer, given: Step) -> Fact:
    """Return launches of a step, and the share of its time in which the GPU is busy."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        torch.cuda.synchronize()
        made.step(*given, 0)
        torch.cuda.synchronize()
    kernels, launches = [], 0
    for event in trace.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            kernels.append((event.time_range.start, event.time_range.end))
        elif "Launch" in event.name:
            launches += 1
    busy, reached = 0.0, 0.0
    for start, end in sorted(kernels):
        busy += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return {"launches": launches, "kernels": len(kernels), "busy_ms": busy / 1000}


def on_the_gpu(batch: int, until: float) -> Iterator[Fact]:
    """Yield a line for each configuration that fits into the time."""
    # As a run does: equal bits cost what they cost.
    device, name = Machine("cuda", 1, "auto", 500).start(0), torch.cuda.get_device_name()
    warnings.filterwarnings("ignore", message=".*deterministic")
    peak = next((tera for word, tera in PEAK_TERA.items() if word in name), None)
    slowest = {True: 90.0, False: 20.0}
    with TemporaryDirectory() as folder:
        length = made_up.lengths(STUDIES)
        data = made_up.source(Path(folder) / "images.npy", STUDIES, length)
        for variant, encoder, precision, compiled in configurations():
            line = rows_of(variant, encoder, precision, compiled)
            if time.monotonic() + slowest[compiled] > until:
                yield line | {"left_out": "no time"}
                continue
            begun = time.monotonic()
            mode = replace(Mode.of("cuda"), compiled=compiled, graphs=compiled)
            try:
                form: Any = (variant, encoder, batch, precision, device, mode)
                made = made_up.trainer(*form)
                facts = timed(made, batches(made, data, STUDIES))
            except Exception as error:  # the other lines are still wanted
                facts = {"failed": f"{type(error).__name__}: {error}"[:500]}
            else:
                work = IMAGE_GIGA[encoder] * batch + TOKEN_GIGA * facts["tokens"]
                facts["busy_share"] = facts["busy_ms"] / facts["ms"]
                if peak and precision != "no":
                    facts["peak_share"] = 3 * work / facts["ms"] / peak
            with suppress(NameError):
                del made
            torch._dynamo.reset()
            torch.cuda.empty_cache()
            slowest[compiled] = 1.2 * (time.monotonic() - begun)
            yield line | {"batch": batch, "card": name} | facts


def counted(variant: str, encoder: str, batch: int, data: Source) -> Fact:
    """Return what a step of slim encoders in a GPU's mode asks for, with several report lengths."""
    mode = Mode(packed=True)
    made = made_up.trainer(variant, encoder, batch, "no", torch.device("cpu"), mode, slim=True)
    make = batches(made, data, STUDIES)
    made.step(*make(0), 0)
    counts, reads = [], 0
    for number in (1, 2):
        given = make(number)
        with OperationCounter() as counter:
            made.step(*given, number)
        counts.append(counter.count)
        reads += counter.reads
    return {
        "batch": batch,
        "operations": max(counts),
        "operations_least": min(counts),
        "host_reads": reads,
    }


def on_the_cpu(batch: int) -> Iterator[Fact]:
    """Yield operations and host reads of each variant and encoder."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        studies = 3 * batch
        length = made_up.lengths(studies)
        data = made_up.source(Path(folder) / "images.npy", studies, length)
        for variant, encoder in product(made_up.VARIANTS, made_up.SLIM):
            yield {"variant": variant, "encoder": encoder} | counted(variant, encoder, batch, data)


def main() -> None:
    """Print a line for each measurement, and write them where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="file of JSON lines to write")
    parser.add_argument("--seconds", type=float, default=420.0, help="to end within")
    parser.add_argument("--batch", type=int, help="pairs; by default 144, on a CPU 16")
    given = parser.parse_args()
    gpu = torch.cuda.is_available()
    until = time.monotonic() + given.seconds
    lines = on_the_gpu(given.batch or 144, until) if gpu else on_the_cpu(given.batch or 16)
    out = given.out.open("w") if given.out else None
    versions: Fact = {"torch": torch.__version__, "cuda": torch.version.cuda, "host": machine()}
    try:
        for line in chain([{"versions": versions}], lines):
            short = {k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}
            text = json.dumps(short)
            print(text, flush=True)
            if out:
                out.write(text + "\n")
                # What was measured stays where the time ends in the middle.
                out.flush()
    finally:
        if out:
            out.close()


if __name__ == "__main__":
    main()
