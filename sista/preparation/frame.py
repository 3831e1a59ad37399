"""The one geometry: where a native film lies in its prepared square, and what the network sees.

Native pixels are those of the film as read, prepared pixels those of the image container, network
pixels those of the encoder's input. In all three x points right and y down, (0, 0) is the left
upper corner of the first pixel, and pixel centres lie at halves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sista.errors import UserError
from sista.preparation.masks import Mask

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """Native, prepared and network coordinates of one film.

    `prepared = native * scale + pad` and `network = prepared * side / prepared side - start`: the
    square is scaled to `side` = round(size * zoom) and `size` is cut out from `start`, as
    `sista.encoders.features.prepare_images` does. One scale holds for both axes; a film's short
    side is rounded to whole prepared pixels, so its pixels lie up to half a one off.

    At zoom 1 the order of operations fixes the bits of published results: do not simplify it.

    Attributes:
        scale: prepared pixels per native pixel.
        pad_x: left offset of the film in prepared pixels.
        pad_y: top offset likewise.
        width: of the film in native pixels.
        height: of the film in native pixels.
        prepared: side of the prepared square in pixels.
        size: side of the network's square in pixels.
        zoom: the whole image would be this many times as wide as the network's square, >= 1.
    """

    scale: float
    pad_x: float
    pad_y: float
    width: int
    height: int
    prepared: int
    size: int
    zoom: float = 1.0

    def __post_init__(self) -> None:
        if self.side < self.size:
            raise UserError(
                f"zoom {self.zoom:g} makes an image of {self.side} px for a network that takes "
                f"{self.size} px; zoom must be at least 1"
            )

    @classmethod
    def fitted(cls, width: int, height: int, prepared: int) -> "Frame":
        """Place a film: its long side fills the prepared square, its short side is centred."""
        scale = prepared / max(height, width)
        columns, lines = _fitted_size(width, height, scale)
        left, top = (prepared - columns) // 2, (prepared - lines) // 2
        return cls(scale, float(left), float(top), width, height, prepared, prepared)

    @classmethod
    def of(
        cls, row: Mapping[Any, Any], prepared: int, size: int | None = None, zoom: float = 1.0
    ) -> "Frame":
        """Return the frame of a manifest row.

        Args:
            row: scale, pad_x, pad_y, width and height.
            prepared: side of the prepared square in pixels.
            size: side of the network's square; None = the prepared square is looked at itself.
            zoom: see the class.

        Raises:
            UserError: zoom is below 1.
        """
        scale, pad_x, pad_y = (float(row[name]) for name in ("scale", "pad_x", "pad_y"))
        width, height = (int(row[name]) for name in ("width", "height"))
        size = prepared if size is None else size
        return cls(scale, pad_x, pad_y, width, height, prepared, size, zoom)

    @property
    def fitted_size(self) -> tuple[int, int]:
        """Columns and lines of the film in the prepared square, each at least 1."""
        return _fitted_size(self.width, self.height, self.scale)

    @property
    def side(self) -> int:
        """Side in network pixels that the whole prepared square is scaled to."""
        # Whole pixels, as the images are scaled.
        return round(self.size * self.zoom)

    @property
    def start(self) -> int:
        """First line and column of the scaled square that the network sees."""
        return (self.side - self.size) // 2

    @property
    def seen(self) -> tuple[float, float]:
        """Where the network's square begins and ends on both axes, in prepared pixels."""
        low, high = self.prepared_steps(np.array([0.0, self.size]))
        return float(low), float(high)

    @property
    def _factor(self) -> float:
        """Network pixels per native pixel."""
        return self.scale * self.side / float(self.prepared)

    @property
    def _shift(self) -> Floats:
        """Native x and y of the prepared square's corner."""
        return np.array([-self.pad_x / self.scale, -self.pad_y / self.scale])

    def prepared_boxes(self, native: Floats) -> Floats:
        """Return boxes x, y, w, h in prepared pixels from native ones, `[..., 4]`."""
        corner = self.prepared_points(native[..., :2])
        return np.concatenate((corner, native[..., 2:] * self.scale), axis=-1)

    def prepared_points(self, native: Floats) -> Floats:
        """Return points x, y in prepared pixels from native ones, `[..., 2]`."""
        points: Floats = native * self.scale + np.array([self.pad_x, self.pad_y])
        return points

    def prepared_steps(self, network: Floats) -> Floats:
        """Return places along a side of the network's square in prepared pixels (both axes)."""
        prepared: Floats = (network + self.start) * self.prepared / self.side
        return prepared

    def network_points(self, native: Floats) -> Floats:
        """Return points x, y in network pixels from native ones, `[..., 2]`, seen or not."""
        return (native - self._shift) * self._factor - self.start

    def network_boxes(self, native: Floats) -> Floats:
        """Return corners x1, y1, x2, y2 in network pixels, seen or not.

        Args:
            native: boxes x, y, w, h in native pixels, `[..., 4]`.
        """
        low = self.network_points(native[..., :2])
        return np.concatenate((low, low + native[..., 2:] * self._factor), axis=-1)

    def native_points(self, network: Floats) -> Floats:
        """Return points x, y in native pixels from network ones, `[..., 2]`, on the film or not."""
        # Adding a start of 0 would change the sign of -0.0.
        return (network - -self.start) / self._factor + self._shift

    def native_boxes(self, network: Floats) -> Floats:
        """Return boxes x, y, w, h in native pixels, cut at the border of the film.

        Args:
            network: corners x1, y1, x2, y2 in network pixels, `[..., 4]`.
        """
        low, high = (
            self.native_points(network[..., corner : corner + 2]).clip(0, [self.width, self.height])
            for corner in (0, 2)
        )
        return np.concatenate((low, high - low), axis=-1)

    def native_pixels(self, prepared: Floats) -> tuple[Places, Places]:
        """Return the film's columns and lines under places along a side of the prepared square.

        Args:
            prepared: in prepared pixels, `[N]`, the same for both axes.

        Returns:
            Two arrays `[N]`; what is below 0 or beyond the film's size lies beside the film.
        """
        columns = np.floor((prepared - self.pad_x) / self.scale).astype(int)
        lines = np.floor((prepared - self.pad_y) / self.scale).astype(int)
        return columns, lines

    def network_mask(self, native: Mask) -> Mask:
        """Return a native mask `[height, width]` as the network sees it, `[size, size]`.

        Each network pixel takes the native pixel under its centre; beside the film it is 0.
        """
        columns, lines = self.native_pixels(self.prepared_steps(_centres(self.size)))
        return _taken(native, lines, columns)

    def native_mask(self, network: Mask) -> Mask:
        """Return a network mask `[size, size]` on the film, `[height, width]`.

        Each native pixel takes the network pixel over its centre; 0 where the network sees nothing.
        """
        centres = _centres(max(self.width, self.height))
        places = np.floor(self.network_points(np.stack((centres, centres), -1))).astype(int)
        return _taken(network, places[: self.height, 1], places[: self.width, 0])


def _fitted_size(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))


def _centres(count: int) -> Floats:
    # Pixel n reaches from n to n + 1.
    return np.arange(count, dtype=np.float64) + 0.5


def _taken(mask: Mask, lines: Places, columns: Places) -> Mask:
    """Return the mask at these lines and columns, 0 where they lie outside it."""
    height, width = mask.shape
    inside_x = (columns >= 0) & (columns < width)
    inside_y = (lines >= 0) & (lines < height)
    # One look-up for all: what lies outside is read at the border, then set to 0.
    taken = mask[np.ix_(lines.clip(0, height - 1), columns.clip(0, width - 1))]
    result: Mask = taken * np.outer(inside_y, inside_x).astype(np.uint8)
    return result
