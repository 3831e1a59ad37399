"""Loader: images a second and core at 224 px with augmentation, from prepared 256 px images.

One core, in seconds of its own time, so that other work on the machine counts little; run
`OMP_NUM_THREADS=1 python -m benchmarks.speed.loader`.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.speed.measures import Measure, tell
from sista.encoders.features import prepare_images
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.engine.films import Films
from sista.engine.pairs import Pairs
from sista.engine.randomness import permutation
from sista.engine.sources import Source
from sista.engine.views import ViewPolicy, Views, augment, two_views
from sista.text.similarity import tfidf_vectors
from sista.text.vocabulary import tokenise, train_vocabulary

STORED, SIDE, BATCH, IMAGES = 256, 224, 144, 1440
FINDINGS = "effusion opacity edema nodule cardiomegaly fracture pneumothorax device".split()


def source(container: Path) -> Source:
    """Return made-up pairs whose images lie in a container on disk."""
    generator = np.random.default_rng(0)
    np.save(container, generator.integers(0, 255, (IMAGES, STORED, STORED), np.uint8))
    texts = [
        ". ".join(f"there is {name} on the left" for name in generator.permutation(FINDINGS)[:6])
        for _ in range(IMAGES)
    ]
    labels = np.zeros((IMAGES, 5))
    images = Films(np.load(container, mmap_mode="r", allow_pickle=False))
    pairs = Pairs(pd.DataFrame({"report": texts}), images, labels, tuple("abcde"))
    table = tokenise(texts, train_vocabulary(texts), longest=112)
    return Source(pairs, table, tfidf_vectors(texts))


def images_a_second(load: Callable[[NDArray[np.int64]], object]) -> float:
    """Return the median rate over the batches of an epoch in random order."""
    order = permutation(0, 0, IMAGES)
    spent = []
    for rows in order.reshape(-1, BATCH):
        started = time.process_time()
        load(rows)
        spent.append(time.process_time() - started)
    return BATCH / float(np.median(spent))


def measure() -> Iterator[Measure]:
    """Yield every figure."""
    torch.set_num_threads(1)
    device = torch.device("cpu")
    with TemporaryDirectory() as folder:
        made = source(Path(folder) / "images.npy")
        labels = torch.zeros(IMAGES, 5)
        stored = made.pairs.images

        def drawn(rows: NDArray[np.int64]) -> Views:
            return Views(augment(stored, rows, side=SIDE, seed=0, epoch=0, flip=False))

        ways: dict[str, Callable[[NDArray[np.int64]], object]] = {
            "augmented images": drawn,
            "whole batches: images, tokens, similarity": lambda rows: made.batch(
                rows, drawn(rows), device, labels
            ),
            "mirrored too": lambda rows: augment(
                stored, rows, side=SIDE, seed=0, epoch=0, flip=True
            ),
        }
        for name, load in ways.items():
            rate = images_a_second(load)
            yield Measure(f"loader at {SIDE} px, {name}", rate, 2000, "images/s/core", True)
        policy = ViewPolicy()
        rate = images_a_second(
            lambda rows: two_views(stored, rows, side=SIDE, policy=policy, seed=0, epoch=0)
        )
        yield Measure(f"loader at {SIDE} px, two views", rate, None, "images/s/core", True)
        for word in ("vit_base", "resnet50"):
            share = share_of_encoding(word, stored)
            yield Measure(f"loader's share of encoding with {word}", share, 0.1, "share")


@torch.no_grad()
def share_of_encoding(word: str, stored: Films) -> float:
    """Return which share of the time of encoding frozen features goes into their images."""
    encoder = ImageEncoder(encoder_spec(word)).eval()
    spent = []
    for start in range(0, 12, 4):
        begun = time.process_time()
        images = prepare_images(stored.take(np.arange(start, start + 4)), encoder, SIDE)
        ready = time.process_time()
        encoder(images)
        spent.append((ready - begun) / (time.process_time() - begun))
    return float(np.median(spent))


if __name__ == "__main__":
    tell(measure(), __doc__ or "")
