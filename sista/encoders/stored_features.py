"""Features of a checkpoint on the images of a prepared data set, shared with other jobs."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from sista import registry
from sista.encoders.feature_cache import FOLDER, FeatureCache
from sista.encoders.features import FeatureStore
from sista.encoders.image import ImageEncoder
from sista.files import digest, sha256
from sista.runs import provenance
from sista.runs.container import read_container
from sista.runs.record import known


def stored_features(
    encoder: ImageEncoder,
    checkpoint: Path,
    container: Path,
    rows: Sequence[int],
    *,
    levels: Sequence[int],
    also: Sequence[int],
    size: int,
    resize: int,
    device: torch.device,
    scratch: Path,
    memory_bytes: int,
) -> FeatureStore:
    """Return the features of an encoder; of several jobs that need them one computes them.

    Args:
        encoder: frozen, in eval mode, on `device`.
        checkpoint: its file; the features are kept beside it where that folder can be written.
        container: prepared images, uint8 `[N, P, P]`.
        rows: of the container.
        levels: of the maps to keep; none = pooled features only.
        also: levels that other heads may ask for.
        size: side of the encoder's input in pixels.
        resize: scale to this side first and cut the centre out.
        device: where features are computed and given.
        scratch: folder for maps that neither fit in memory nor may be shared.
        memory_bytes: budget of the maps in memory.

    Raises:
        UserError: the container is missing or too small; the disk is full.
    """
    images = read_container(container, max(rows))
    key = {
        "encoder": known(checkpoint).sha256,
        "images": known(container).sha256,
        "rows": digest(list(rows)),
        "size": [size, resize],
        # Device, threads and code decide the last bits.
        "computed": [_device(device), torch.get_num_threads(), provenance.lock_hash(), _code()],
    }
    writable = os.access(checkpoint.parent, os.W_OK)
    return FeatureStore(
        encoder,
        images,
        rows,
        levels=levels,
        size=size,
        resize=resize,
        device=device,
        folder=scratch,
        memory_bytes=memory_bytes,
        cache=FeatureCache(checkpoint.parent / FOLDER, key, also) if writable else None,
    )


def _device(device: torch.device) -> str:
    """Return the word of a CPU, or the name of a GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _code() -> str:
    """Return a hash of the code that decides the features."""
    files = registry.module_sources("sista.encoders.features")
    return digest([sha256(provenance.ROOT / file) for file in files])
