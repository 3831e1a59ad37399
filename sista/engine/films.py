"""Prepared images, read from their container when a batch needs them."""

import mmap

import numpy as np
from numpy.typing import NDArray

# Bytes read after which a process gives pages of the container back. They stay in the system's
# cache, which all processes of a machine share, but count no longer as this one's memory.
RELEASE = 256 << 20


class Films:
    """Images of chosen studies.

    Args:
        container: uint8 `[M, S, S]`, in memory or mapped into it.
        rows: `[N]` places in the container; None = all.
    """

    def __init__(self, container: NDArray[np.uint8], rows: NDArray[np.int64] | None = None) -> None:
        self.container = container
        self.rows = np.arange(len(container)) if rows is None else rows
        self.side: int = container.shape[1]
        self._mapped: mmap.mmap | None = getattr(container, "_mmap", None)
        self._read = 0

    def __len__(self) -> int:
        """Return the number of studies."""
        return len(self.rows)

    def take(self, studies: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return whole images `[B, S, S]`."""
        images: NDArray[np.uint8] = np.asarray(self.container[self.rows[studies]])
        self._release(images.nbytes)
        return images

    def crops(
        self,
        studies: NDArray[np.int64],
        corner: NDArray[np.int64],
        side: int,
        mirrored: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.uint8]:
        """Return a square of each image, `[B, side, side]`.

        Args:
            studies: of the images.
            corner: `[B, 2]` top and left.
            side: of the square.
            mirrored: `[B]` left and right change sides.
        """
        squares = np.empty((len(studies), side, side), np.uint8)
        # One block at a time is copied five times faster than all by an index of each pixel.
        for n, (row, (top, left)) in enumerate(zip(self.rows[studies], corner, strict=True)):
            square = self.container[row, top : top + side, left : left + side]
            squares[n] = square if mirrored is None or not mirrored[n] else square[:, ::-1]
        # Whole pages were mapped, lines beside the square too.
        self._release(len(studies) * self.side**2)
        return squares

    def _release(self, count: int) -> None:
        self._read += count
        if self._mapped is not None and self._read > RELEASE:
            self._mapped.madvise(mmap.MADV_DONTNEED)
            self._read = 0
