"""GLoRIA's local loss for all pairs, in chunks, against a loop over captions: time and memory.

Time is that of the process on one core, forward and backward, the best of some rounds in which both
forms take turns. Memory is how far the peak of the resident set rises above the inputs, each form
in a fresh process. Run `OMP_NUM_THREADS=1 python -m benchmarks.speed.gloria`; the loop needs 7 GB.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from benchmarks.speed.measures import Measure, peak_extra_mb, tell
from sista.losses.gloria import gloria_local

BATCH, PATCHES, WORDS, WIDTH = 96, 196, 111, 128
LENGTHS = ("full", "spread")
ROUNDS = 2


def inputs(lengths: str, batch: int) -> tuple[Tensor, Tensor, list[int]]:
    """Return patches, words and word counts: all `full`, or `spread` evenly from 8 to 111."""
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(batch, PATCHES, WIDTH, generator=generator).requires_grad_()
    words = torch.randn(batch, WORDS, WIDTH, generator=generator).requires_grad_()
    if lengths == "full":
        return patches, words, [WORDS] * batch
    return patches, words, torch.randint(8, WORDS + 1, (batch,), generator=generator).tolist()


def caption_loop(patches: Tensor, words: Tensor, counts: list[int]) -> Tensor:
    """Return the loss by plain operations, one caption against all images at a time."""
    columns = []
    for caption, count in zip(words, counts, strict=True):
        query = caption[:count].expand(len(patches), -1, -1)
        attention = torch.bmm(query, patches.transpose(1, 2)).softmax(1)
        context = torch.bmm((4.0 * attention).softmax(2), patches)
        columns.append((5.0 * F.cosine_similarity(context, query, dim=2)).logsumexp(1))
    logits = 10.0 * torch.stack(columns, 1)
    own = torch.arange(len(logits))
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)


def step(form: str, lengths: str, batch: int = BATCH) -> Callable[[], float]:
    """Return forward and backward of one form: `loop`, `chunks`, `chunks, contexts kept`."""
    patches, words, counts = inputs(lengths, batch)
    mask = torch.arange(WORDS) < torch.tensor(counts)[:, None]

    def run() -> float:
        patches.grad = words.grad = None
        if form == "loop":
            loss = caption_loop(patches, words, counts)
        else:
            keep = form == "chunks, contexts kept"
            loss = gloria_local(patches, words, mask, counts=counts, keep=keep)
        loss.backward()
        return loss.item()

    return run


def seconds(lengths: str) -> dict[str, float]:
    """Return the least processor seconds of each form."""
    steps = {form: step(form, lengths) for form in ("loop", "chunks", "chunks, contexts kept")}
    best = dict.fromkeys(steps, float("inf"))
    losses = {}
    for _ in range(ROUNDS):
        for form, run in steps.items():
            started = time.process_time()
            losses[form] = run()
            best[form] = min(best[form], time.process_time() - started)
    torch.testing.assert_close(losses["chunks"], losses["loop"], rtol=1e-5, atol=1e-5)
    return best


def peak_mb(form: str, lengths: str) -> float:
    """Return the peak memory of a step above its inputs, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.speed.gloria", "--peak-of", form, lengths]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure() -> Iterator[Measure]:
    """Yield every figure."""
    torch.set_num_threads(1)
    for lengths in LENGTHS:
        spent = seconds(lengths)
        yield Measure(f"GLoRIA local, lengths {lengths}, caption loop", spent["loop"], None, "s")
        for form in ("chunks", "chunks, contexts kept"):
            name = f"GLoRIA local, lengths {lengths}, {form}"
            limit = 1.0 if form == "chunks" else None
            ratio = spent["loop"] / spent[form]
            yield Measure(f"{name}, speed against the loop", ratio, limit, "x", at_least=True)
            yield Measure(f"{name}, peak memory", peak_mb(form, lengths), 800.0, "MB")
    yield Measure(
        "GLoRIA local, lengths full, loop, peak memory", peak_mb("loop", "full"), None, "MB"
    )


def main() -> None:
    """Measure, or print one peak for `--peak-of FORM LENGTHS`."""
    if sys.argv[1:2] == ["--peak-of"]:
        torch.set_num_threads(1)
        step(sys.argv[2], sys.argv[3], batch=2)()
        print(peak_extra_mb(step(sys.argv[2], sys.argv[3])))
        return
    tell(measure(), "GLoRIA's local loss: time and memory")


if __name__ == "__main__":
    main()
