"""SIA and STA: tensor operations and host syncs a step, time against bare products, memory.

One core; run `OMP_NUM_THREADS=1 python -m benchmarks.speed.sta`.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.speed.measures import Measure, host_syncs, operations, peak_extra_mb, tell
from sista import registry
from sista.engine.interface import Embedded
from sista.losses import Form, sta

BATCH, PATCHES, WORDS, WIDTH = 96, 196, 111, 128
BATCHES = (16, 48, 96)
STEPS: dict[str, dict[str, object]] = {
    "shipped default": {},
    "both directions": {"directions": "both", "image_negatives": 0, "w_report": 1.0},
    "both directions, minmax": {
        "directions": "both",
        "image_negatives": 0,
        "w_report": 1.0,
        "sparsify": "minmax",
    },
}
KINDS = ("minmax", "entmax15", "sparsemax", "topk", "softmax")


def embedded(batch: int, patches: int = 49, words: int = 40, width: int = WIDTH) -> Embedded:
    """Return random embeddings of a batch whose leaves take gradients."""
    generator = torch.Generator().manual_seed(batch)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).requires_grad_()

    length = torch.randint(min(8, words), words + 1, (batch, 1), generator=generator)
    mask = torch.arange(words) < length
    ids = torch.randint(0, 500, (batch, words), generator=generator).masked_fill(~mask, -1)
    alike = torch.rand(batch, batch, generator=generator)
    return Embedded(
        image=leaf(batch, width),
        report=leaf(batch, width),
        patches=leaf(batch, patches, width),
        words=leaf(batch, words, width),
        word_mask=mask,
        word_ids=ids,
        similarity=(alike + alike.T) / 2,
    )


def sista_step(
    batch: int, sizes: tuple[int, int, int] = (49, 40, WIDTH), **settings: object
) -> Callable[[], None]:
    """Return forward and backward of the objective `sista`.

    Args:
        batch: studies.
        sizes: patches, words and dimensions.
        settings: of the method that differ from the shipped default.
    """
    objective = registry.find("methods", "sista")(**settings)
    e = embedded(batch, *sizes)

    def step() -> None:
        objective(e)["loss"].backward()

    return step


def sta_step(kind: str) -> Callable[[], None]:
    """Return forward and backward of STA inside the reports, both directions, at full size."""
    e = embedded(BATCH, PATCHES, WORDS)
    assert e.patches is not None
    assert e.words is not None
    assert e.word_mask is not None
    patches, words, mask = e.patches, e.words, e.word_mask
    both, form = ("word", "patch"), Form(sparsify=kind)  # type: ignore[arg-type]

    def step() -> None:
        patches.grad = words.grad = None
        loss = sta(
            patches,
            words,
            mask,
            temperature=0.07,
            form=form,
            directions=both,  # type: ignore[arg-type]
            word_ids=e.word_ids,
        )
        loss.backward()

    return step


def default_step() -> Callable[[], None]:
    """Return forward and backward of the shipped objective at full size."""
    return sista_step(BATCH, (PATCHES, WORDS, WIDTH))


def products_step() -> Callable[[], None]:
    """Return the bare batched products of STA: scores, mixes and logits, with their gradients."""
    patches, words = torch.randn(BATCH, PATCHES, WIDTH), torch.randn(BATCH, WORDS, WIDTH)

    def product(left: Tensor, right: Tensor) -> Tensor:
        out = left @ right
        _ = out @ right.transpose(1, 2)
        _ = left.transpose(1, 2) @ out
        return out

    def step() -> None:
        for query, key in ((words, patches), (patches, words)):
            weights = product(query, key.transpose(1, 2))
            mix = product(weights, key)
            product(mix, query.transpose(1, 2))

    return step


def seconds(steps: dict[str, Callable[[], None]], rounds: int = 7) -> dict[str, float]:
    """Return the least processor seconds of each step, measured in turns."""
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.process_time()
            step()
            best[name] = min(best[name], time.process_time() - started)
    return best


def memory_mb(kind: str) -> float:
    """Return the peak memory of a full-size step above its inputs, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.speed.sta", "--memory-of", kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure() -> Iterator[Measure]:
    """Yield every figure."""
    torch.set_num_threads(1)
    for name, settings in STEPS.items():
        counts = {batch: operations(sista_step(batch, **settings)) for batch in BATCHES}
        for batch, count in counts.items():
            yield Measure(f"SIA + STA, {name}, operations at B = {batch}", count, 399, "ops")
        spread = max(counts.values()) - min(counts.values())
        yield Measure(f"SIA + STA, {name}, operations, largest difference", spread, 0, "ops")
        syncs = host_syncs(sista_step(48, **settings))
        yield Measure(f"SIA + STA, {name}, host syncs at B = 48", syncs, 0, "syncs")
    steps = {"products": products_step()} | {kind: sta_step(kind) for kind in KINDS}
    spent = seconds(steps)
    for kind in KINDS:
        ratio = spent[kind] / spent["products"]
        yield Measure(f"STA {kind}, time over bare products", ratio, 2.2, "x")
    yield Measure("bare products", spent["products"], None, "s")
    for kind in KINDS:
        yield Measure(f"STA {kind}, peak extra memory", memory_mb(kind), 250, "MB")
    # It looks at nine images a word, so it has no limit of its own.
    yield Measure("shipped default, whole loss", seconds({"": default_step()}, 3)[""], None, "s")
    yield Measure(
        "shipped default, whole loss, peak extra memory", memory_mb("default"), None, "MB"
    )


def main() -> None:
    """Print the table, or one memory figure where a fresh process is asked for it."""
    if "--memory-of" in sys.argv:
        torch.set_num_threads(1)
        step = default_step() if sys.argv[-1] == "default" else sta_step(sys.argv[-1])
        # Kernels and thread pools are loaded by a small step, which is not counted.
        operations(sista_step(4))
        print(peak_extra_mb(step))
        return
    tell(measure(), __doc__ or "")


if __name__ == "__main__":
    main()
