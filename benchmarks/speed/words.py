"""Words from word pieces: one indexed add against a Python loop over tokens, forward and backward.

The loop has the peers' form: it asks for each token's number (`.item()`), collects the pieces of a
word, stacks and sums them. Time is that of the process on one core, the best of some rounds in
which both take turns. Run `OMP_NUM_THREADS=1 python -m benchmarks.speed.words`.
"""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.speed.measures import Measure, tell
from sista.engine.model import sum_pieces

BATCH, PIECES = 48, 112
ROUNDS = 5


def inputs(width: int) -> tuple[Tensor, Tensor, int]:
    """Return token states, the word of each piece, and the most words of a report."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(BATCH, PIECES, width, generator=generator).requires_grad_()
    # Every third piece or so goes on with the word before it; reports differ in length.
    new = torch.rand(BATCH, PIECES, generator=generator) < 0.7
    slot = new.long().cumsum(1).sub(1).clamp_min(0)
    length = torch.randint(20, PIECES + 1, (BATCH, 1), generator=generator)
    words = int(slot.max()) + 1
    return tokens, torch.where(torch.arange(PIECES) < length, slot, words), words


def token_loop(tokens: Tensor, slot: Tensor, words: int) -> Tensor:
    """Return the sums by a loop over reports and tokens."""
    empty = tokens.new_zeros(tokens.shape[2])
    reports = []
    for report, places in zip(tokens, slot, strict=True):
        pieces: dict[int, list[Tensor]] = {}
        for piece, place in zip(report, places, strict=True):
            pieces.setdefault(int(place.item()), []).append(piece)
        found = {place: torch.stack(bank).sum(0) for place, bank in pieces.items()}
        reports.append(torch.stack([found.get(n, empty) for n in range(words)]))
    return torch.stack(reports)


def spent(run: Callable[[], Tensor], backward: bool) -> float:
    """Return the processor seconds of one run."""
    started = time.process_time()
    out = run()
    if backward:
        out.sum().backward()
    return time.process_time() - started


def measure() -> Iterator[Measure]:
    """Yield every figure."""
    torch.set_num_threads(1)
    for width in (128, 768):
        tokens, slot, words = inputs(width)
        forms: dict[str, Callable[[], Tensor]] = {
            "loop": lambda t=tokens, s=slot, w=words: token_loop(t, s, w),  # type: ignore[misc]
            "add": lambda t=tokens, s=slot, w=words: sum_pieces(t, s, w),  # type: ignore[misc]
        }
        values = {name: run() for name, run in forms.items()}
        gradients = []
        weight = torch.randn(values["add"].shape, generator=torch.Generator().manual_seed(1))
        for value in values.values():
            gradients.append(torch.autograd.grad((value * weight).sum(), tokens)[0])
        equal = torch.equal(values["loop"], values["add"]) and torch.equal(*gradients)
        name = f"words from pieces, width {width}"
        yield Measure(f"{name}, exactly equal to the loop", float(equal), 1, "", at_least=True)
        for backward in (False, True):
            best = dict.fromkeys(forms, float("inf"))
            for _ in range(ROUNDS):
                for form, run in forms.items():
                    best[form] = min(best[form], spent(run, backward))
            part = "forward and backward" if backward else "forward"
            ratio = best["loop"] / best["add"]
            yield Measure(f"{name}, {part}, against the loop", ratio, 4, "x", at_least=True)


if __name__ == "__main__":
    tell(measure(), "Words from word pieces")
