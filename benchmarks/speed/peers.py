"""Two places where a peer was faster once: decoding a film, and MGCA's token level.

Decoding: a grey JPEG of 3000 x 2500 by `load` against OpenCV. Token level: forward and backward
against the form of MGCA's public code (a product for each direction, cross-entropy of rows and of
columns, quantiles report by report), 48 reports, 196 patches. Seconds are those of the process on
one core, the best of some rounds in which both take turns. Run
`OMP_NUM_THREADS=1 python -m benchmarks.speed.peers`.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor

from benchmarks.speed.measures import Measure, tell
from sista.losses.mgca import cta
from sista.preparation.radiograph import load

ROUNDS = 9
FILM = (3000, 2500)
REPORTS, PATCHES, WORDS, WIDTH, TEMPERATURE = 48, 196, 112, 128, 0.1


def film(path: Path) -> None:
    """Write a film of smooth grey and a little noise, 1.3 MB."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 255, (60, 50), dtype=np.uint8)
    smooth = cv2.resize(coarse, FILM[::-1], interpolation=cv2.INTER_CUBIC)
    noisy = (smooth + generator.normal(0, 3, FILM)).clip(0, 255)
    Image.fromarray(noisy.astype(np.uint8)).save(path, quality=90)


def by_opencv(path: Path) -> Any:
    """Return the film as OpenCV decodes it."""
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)


def _contrast(queries: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    logits = torch.bmm(queries, targets.permute(0, 2, 1)) / TEMPERATURE
    reports, length, _ = logits.shape
    own = torch.arange(length).repeat(reports)
    found = []
    for side in (logits, logits.permute(0, 2, 1)):
        rows = F.cross_entropy(side.reshape(-1, length), own, reduction="none")
        found.append((rows.view(reports, length) * weights).sum(1).mean())
    return (found[0] + found[1]) / 2


@torch.no_grad()
def _weights(attention: Tensor) -> Tensor:
    rows = []
    for row in attention.clone():
        valid = row.nonzero().squeeze(1)
        low, high = (torch.quantile(row[valid], q) for q in (0.1, 0.9))
        row[valid] = row[valid].clip(low, high)
        rows.append(row)
    weights = torch.stack(rows)
    return weights / weights.sum(1, keepdim=True)


def token_level(
    patches: Tensor, words: Tensor, mask: Tensor, of_words: Tensor, of_patches: Tensor
) -> Tensor:
    """Return MGCA's token level in the form of its public code."""
    patches, words = F.normalize(patches, dim=-1), F.normalize(words, dim=-1)
    scores = torch.bmm(words, patches.permute(0, 2, 1))
    context = torch.bmm(F.softmax(scores / TEMPERATURE, dim=-1), patches)
    word = _contrast(words, F.normalize(context, dim=-1), _weights(of_words))
    scores = torch.bmm(patches, words.permute(0, 2, 1)).masked_fill(~mask[:, None], -1e20)
    mix = torch.bmm(F.softmax(scores / TEMPERATURE, dim=-1), words)
    return word + _contrast(patches, mix, _weights(of_patches))


def spent(run: Callable[[], Any]) -> float:
    """Return the processor seconds of one run."""
    started = time.process_time()
    run()
    return time.process_time() - started


def best_of(forms: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the least seconds of each form; they take turns."""
    best = dict.fromkeys(forms, float("inf"))
    for _ in range(ROUNDS):
        for name, run in forms.items():
            best[name] = min(best[name], spent(run))
    return best


def decoding() -> Iterator[Measure]:
    """Yield the figures of decoding."""
    cv2.setNumThreads(1)
    with TemporaryDirectory() as folder:
        path = Path(folder, "film.jpg")
        film(path)
        equal = np.array_equal(load(path).pixels, by_opencv(path))
        best = best_of({"ours": lambda: load(path), "opencv": lambda: by_opencv(path)})
    name = "decoding a grey JPEG of 3000 x 2500"
    yield Measure(f"{name}, equal to OpenCV's", float(equal), 1, "", at_least=True)
    yield Measure(name, 1e3 * best["ours"], None, "ms")
    yield Measure(f"{name}, OpenCV", 1e3 * best["opencv"], None, "ms")
    yield Measure(f"{name}, time over OpenCV's", best["ours"] / best["opencv"], 1.0, "x")


def mgca() -> Iterator[Measure]:
    """Yield the figures of MGCA's token level."""
    generator = torch.Generator().manual_seed(0)
    patches, words = (
        torch.randn(REPORTS, length, WIDTH, generator=generator).requires_grad_()
        for length in (PATCHES, WORDS)
    )
    lengths = torch.randint(20, WORDS + 1, (REPORTS, 1), generator=generator)
    mask = torch.arange(WORDS) < lengths
    of_words = torch.rand(REPORTS, WORDS, generator=generator).masked_fill(~mask, 0.0)
    of_patches = torch.rand(REPORTS, PATCHES, generator=generator)

    def ours(released: bool) -> Tensor:
        parts = cta(
            patches,
            words,
            mask,
            temperature=TEMPERATURE,
            word_attention=of_words,
            patch_attention=of_patches,
            pads_in_softmax=released,
            normalise_patch_context=not released,
        )
        return parts["word"] + parts["patch"]

    forms: dict[str, Callable[[], Tensor]] = {
        "peer": lambda: token_level(patches, words, mask, of_words, of_patches),
        "as released": lambda: ours(True),
        "default": lambda: ours(False),
    }
    values = {name: float(run().detach()) for name, run in forms.items()}
    best = best_of({name: lambda run=run: run().backward() for name, run in forms.items()})  # type: ignore[misc]
    name = "MGCA's token level, 196 patches"
    apart = abs(values["as released"] - values["peer"])
    yield Measure(f"{name}, compatibility released_code: difference in value", apart, 1e-5, "")
    yield Measure(f"{name}, the public code's form", 1e3 * best["peer"], None, "ms")
    for form in ("as released", "default"):
        ratio = best[form] / best["peer"]
        yield Measure(f"{name}, {form}, time over that form's", ratio, 1.0, "x")


def measure() -> Iterator[Measure]:
    """Yield every figure."""
    torch.set_num_threads(1)
    yield from decoding()
    yield from mgca()


if __name__ == "__main__":
    tell(measure(), __doc__)
