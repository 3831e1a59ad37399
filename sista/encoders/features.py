"""Features of a frozen encoder, computed once per image and kept for all heads of a job."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sista.encoders.feature_cache import POOLED, FeatureCache, map_name, new_array
from sista.encoders.image import ImageEncoder, standardised
from sista.errors import UserError, unwritable
from sista.runs.feeding import fed, moved
from sista.runs.progress import track

Images = NDArray[np.uint8]
Arrays = tuple[NDArray[np.float32], list[NDArray[np.float16]]]
CPU = torch.device("cpu")
# Memory of a GPU that an encoder without gradients takes for a pixel of its input, rounded up.
BYTES_A_PIXEL = 1024
# Beyond, no GPU is faster.
MOST = 512


def at_once(device: torch.device, size: int, on_cpu: int) -> int:
    """Return how many images are encoded at a time; on a GPU as many as half its memory holds.

    Whatever else is in that memory: the number decides the last bits of what is computed.

    Args:
        device: to compute on.
        size: side of an image in pixels.
        on_cpu: images there.
    """
    if device.type != "cuda":
        return on_cpu
    _, memory = torch.cuda.mem_get_info(device)
    return max(on_cpu, min(MOST, memory // 2 // (BYTES_A_PIXEL * size**2)))


def half_on_gpu(device: torch.device) -> torch.autocast:
    """Return a context that computes in bf16 on a GPU, and as ever on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def prepare_images(
    images: Images,
    encoder: ImageEncoder,
    size: int,
    resize: int | None = None,
    device: torch.device = CPU,
) -> Tensor:
    """Return the encoder's input `[B, 3, size, size]` from prepared images.

    Args:
        images: uint8 `[B, P, P]` of the image container.
        encoder: gives mean and standard deviation for pixels in [0, 1].
        size: side of the result in pixels.
        resize: scale to this side first and cut the centre out; None = scale to `size`.
        device: of the result. Images come to it as they are stored, a twelfth of the bytes.
    """
    side = resize or size
    start = (side - size) // 2
    pixels = scaled(images, side, device)[..., start : start + size, start : start + size]
    return normalised(pixels, encoder)


def scaled(images: Images, side: int, device: torch.device = CPU) -> Tensor:
    """Return prepared images as `[B, 1, side, side]` in [0, 1]."""
    pixels = moved(images, device).float().unsqueeze(1) / 255
    if side != pixels.shape[-1]:
        shape = (side, side)
        pixels = functional.interpolate(pixels, shape, mode="bilinear", antialias=True)
    return pixels


def normalised(pixels: Tensor, encoder: ImageEncoder) -> Tensor:
    """Return the encoder's input `[B, 3, S, S]` from pixels `[B, 1, S, S]` in [0, 1]."""
    if encoder.standardise:
        return standardised(pixels)
    mean = torch.tensor(encoder.mean, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(encoder.std, device=pixels.device).view(1, 3, 1, 1)
    return (pixels.expand(-1, 3, -1, -1) - mean) / std


class FeatureStore:
    """Pooled features (single precision) and, where asked for, feature maps (half precision).

    Maps are kept in memory up to `memory_bytes`, then in one file a map under `folder` up to
    `disk_bytes`; beyond that only the prepared images are read and the backbone encodes every
    batch anew. With a cache the files lie there, and a second job reads them.

    Args:
        encoder: frozen, in eval mode, on `device`.
        images: the image container, uint8 `[N, P, P]`, may be memory-mapped.
        rows: rows of the container that are needed; features are indexed by position in it.
        levels: indices of the encoder's maps to keep; none = pooled features only.
        size: side of the encoder's input in pixels.
        resize: see `prepare_images`.
        device: where features are computed and given.
        folder: for maps that do not fit in memory.
        memory_bytes: budget of the maps in memory.
        disk_bytes: budget of the maps on disk.
        batch: images encoded at a time on a CPU; see `at_once`.
        cache: shared with other jobs.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        images: Images,
        rows: Sequence[int],
        *,
        levels: Sequence[int],
        size: int,
        resize: int | None = None,
        device: torch.device | None = None,
        folder: Path,
        memory_bytes: int = 2 << 30,
        disk_bytes: int = 64 << 30,
        batch: int = 32,
        cache: FeatureCache | None = None,
    ) -> None:
        check_size(encoder, size)
        self.encoder, self.images, self.rows = encoder, images, list(rows)
        self.levels, self.size, self.resize = tuple(levels), size, resize
        self.device = device or torch.device("cpu")
        self.pooled = torch.zeros(len(self.rows), encoder.dim)
        self.maps: list[Tensor] | None = None
        self._folder, self._memory = folder, memory_bytes
        self._batch = at_once(self.device, size, batch)
        if self._bytes(self.levels) <= disk_bytes:
            pooled, maps = self._shared(cache) if cache else self._own()
            self.pooled = torch.from_numpy(pooled)
            self.maps = [torch.from_numpy(each) for each in maps] if self.levels else None
            self._keep_on_device()

    def inputs(self, positions: Sequence[int]) -> Tensor | tuple[Tensor, ...]:
        """Return what a head's model takes for these positions.

        Pooled features `[B, D]` if no maps are kept; else maps `[B, C_i, h_i, w_i]` in half
        precision; else, beyond the budgets, images `[B, 3, S, S]`.
        """
        if not self.levels:
            return self.pooled[list(positions)].to(self.device)
        if self.maps is not None:
            places = torch.tensor(list(positions), device=self.maps[0].device)
            return tuple(each.index_select(0, places).to(self.device) for each in self.maps)
        return self._images(positions)

    def _keep_on_device(self) -> None:
        """Bring features to a GPU, where they take at most half of what is free."""
        kept = [self.pooled, *(self.maps or ())]
        if self.device.type != "cuda":
            return
        free, _ = torch.cuda.mem_get_info(self.device)
        if sum(each.nbytes for each in kept) <= free // 2:
            self.pooled, *maps = (each.to(self.device) for each in kept)
            self.maps = maps or None

    def _images(self, positions: Sequence[int]) -> Tensor:
        pixels = self.images[[self.rows[i] for i in positions]]
        return prepare_images(pixels, self.encoder, self.size, self.resize, self.device)

    def _shape(self, level: int) -> tuple[int, int, int, int]:
        side = -(-self.size // self.encoder.map_strides[level])
        return len(self.rows), self.encoder.map_channels[level], side, side

    def _bytes(self, levels: Sequence[int]) -> int:
        return sum(2 * int(np.prod(self._shape(level))) for level in levels)

    def _own(self) -> Arrays:
        """Encode for this job alone."""
        fits = self._bytes(self.levels) <= self._memory
        return self._encode_all(self.levels, None if fits else self._folder)

    def _shared(self, cache: FeatureCache) -> Arrays:
        """Read what another job has encoded, or encode and leave it to the others."""
        fits = self._bytes(self.levels) <= self._memory
        with cache.locked():
            if not cache.has(self.levels):
                # The backbone runs in any case; what other heads will ask for costs room alone.
                every = tuple(sorted({*self.levels, *cache.also}))
                levels = every if self._bytes(every) <= self._memory else self.levels
                try:
                    with cache.filling() as folder:
                        self._encode_all(levels, folder)
                except OSError as error:
                    if not fits or unwritable(error) is None:
                        raise UserError(f"{cache.folder}: {unwritable(error) or error}") from error
                    # No room on disk is no reason to stop where memory is enough.
                    return self._own()
            return cache.read(self.levels, fits)

    @torch.no_grad()
    def _encode_all(self, levels: Sequence[int], folder: Path | None) -> Arrays:
        """Return pooled features and maps, in files of `folder` or in memory."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

        def new(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
            return (
                np.zeros(shape, dtype) if folder is None else new_array(folder / name, shape, dtype)
            )

        pooled = new(POOLED, (len(self.rows), self.encoder.dim), np.float32)
        maps = [new(map_name(level), self._shape(level), np.float16) for level in levels]
        starts = range(0, len(self.rows), self._batch)
        ends = [min(start + self._batch, len(self.rows)) for start in starts]

        def made(number: int) -> Tensor:
            return self._images(range(starts[number], ends[number]))

        ahead = 2 if self.device.type == "cuda" else 0
        batches = fed(made, range(len(starts)), self.device, ahead)
        for number in track(range(len(starts)), "encode images (batches)"):
            with half_on_gpu(self.device):
                features = self.encoder(next(batches))
            part = slice(starts[number], ends[number])
            pooled[part] = features.pooled.float().cpu().numpy()
            for kept, level in zip(maps, levels, strict=True):
                # Half precision ends at 65504; an outlier must not become infinite.
                kept[part] = features.maps[level].clamp(-6e4, 6e4).half().cpu().numpy()
        batches.close()
        for kept in (pooled, *maps):
            if isinstance(kept, np.memmap):
                kept.flush()
        return pooled, maps


def check_size(encoder: ImageEncoder, size: int) -> None:
    """Refuse an image size that a ViT was not made for.

    Raises:
        UserError: names the remedy.
    """
    if encoder.family == "vit" and size != encoder.size:
        raise UserError(
            f"encoder {encoder.word} takes images of {encoder.size} px, the protocol gives {size}; "
            "use a protocol of that size or an encoder of the resnet family"
        )
