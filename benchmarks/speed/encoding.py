"""Films a second through a frozen encoder, from prepared images on disk to features in memory.

Run `OMP_NUM_THREADS=1 python -m benchmarks.speed.encoding`; on a GPU where torch sees one.
"""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from sista.encoders.features import FeatureStore
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.engine.machine import find_device

FILMS, STORED = 1440, 256
# A GPU meets each film so often: a second of work says too little.
TIMES = {"cuda": 12, "cpu": 1}


def films_a_second(word: str, device: torch.device, container: Path) -> float:
    """Return the rate of a whole pass, after a short one that warms up."""
    encoder = ImageEncoder(encoder_spec(word)).eval()
    encoder = encoder.to(device).to(memory_format=torch.channels_last)
    images = np.load(container, mmap_mode="r", allow_pickle=False)
    count = FILMS if device.type == "cuda" else 48
    rows = list(range(count)) * TIMES[device.type]
    spent = 0.0
    for part in (rows[: count // 2], rows):
        begun = time.perf_counter()
        FeatureStore(
            encoder,
            images,
            part,
            levels=(),
            size=encoder.size,
            resize=None,
            device=device,
            folder=container.parent,
        )
        spent = time.perf_counter() - begun
    return len(rows) / spent


def main() -> None:
    """Print a line for each encoder."""
    device = find_device("auto")
    card = torch.cuda.get_device_name() if device.type == "cuda" else "a CPU core"
    with TemporaryDirectory() as folder:
        container = Path(folder) / "images.npy"
        generator = np.random.default_rng(0)
        np.save(container, generator.integers(0, 255, (FILMS, STORED, STORED), np.uint8))
        for word in ("vit_base", "resnet50"):
            rate = films_a_second(word, device, container)
            print(json.dumps({"encoder": word, "card": card, "films_s": round(rate, 1)}))


if __name__ == "__main__":
    main()
