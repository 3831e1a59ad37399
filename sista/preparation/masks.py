"""Masks: SIIM run lengths, filled boxes, COCO run lengths in JSON, and mask files.

Every mask is a `[height, width]` uint8 array of 0 and 1.
"""

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from sista.errors import UserError, check_limit
from sista.files import reading

Mask = NDArray[np.uint8]
EMPTY_RLE = "-1"
# A film has fewer pixels than this says; longer numbers cost more than they tell.
MOST_DIGITS = 12
# Of pictures; others that Pillow knows are read by programs that it calls, such as EPS.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
# A mask may have been smoothed at its edges by scaling or JPEG; a film is grey nearly everywhere.
MOST_BLACK, LEAST_WHITE, MOST_GREY = 31, 224, 0.2
# Of one number of COCO's letters: 35 bits hold any difference of places in an image.
MOST_LETTERS = 7


def decode_relative_rle(runs: str, height: int, width: int) -> Mask:
    """Return the mask of one SIIM-ACR run-length string.

    The string holds pairs "gap length"; a gap counts from the end of the run before it, pixels
    count down the columns. "-1" (blanks around it are ignored) is an empty mask.

    Raises:
        ValueError: odd number of values, a value that is no number or negative, or a run that
            leaves the image.
    """
    flat = np.zeros(height * width, dtype=np.uint8)
    if runs.strip() != EMPTY_RLE:
        values = _whole_numbers(runs)
        position = 0
        for gap, length in zip(values[::2], values[1::2], strict=True):
            start = position + gap
            position = start + length
            if position > flat.size:
                raise ValueError(f"run length code leaves the {width} x {height} image")
            flat[start:position] = 1
    return np.ascontiguousarray(flat.reshape(width, height).T)


def _are_counts(words: list[str]) -> bool:
    """Whether these are whole numbers that a film can have pixels."""
    return all(w.isascii() and w.isdigit() and len(w) <= MOST_DIGITS for w in words)


def _whole_numbers(runs: str) -> list[int]:
    words = runs.split()
    if not words or len(words) % 2:
        raise ValueError(f"run length code has {len(words)} values; needs pairs or -1")
    if not _are_counts(words):
        raise ValueError("run length code holds something else than whole numbers")
    return [int(word) for word in words]


def encode_relative_rle(mask: NDArray[np.generic]) -> str:
    """Return the SIIM-ACR run-length string of a `[height, width]` mask; "-1" if it is empty."""
    flat = np.asarray(mask).T.reshape(-1) > 0
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flat.astype(np.int8), [0]))))
    if edges.size == 0:
        return EMPTY_RLE
    starts, ends = edges[::2], edges[1::2]
    gaps = starts - np.concatenate(([0], ends[:-1]))
    return " ".join(
        f"{gap} {end - start}" for gap, start, end in zip(gaps, starts, ends, strict=True)
    )


def fill_boxes(boxes: Iterable[Sequence[float]], height: int, width: int) -> Mask:
    """Return the union of filled boxes (x, y, w, h), the rule the field uses for RSNA.

    Corners are x, y and x + w, y + h, all truncated to integers after the sum; the far edges are
    excluded and what leaves the image is cut off.
    """
    mask = np.zeros((height, width), dtype=np.uint8)
    for x, y, w, h in boxes:
        mask[max(int(y), 0) : max(int(y + h), 0), max(int(x), 0) : max(int(x + w), 0)] = 1
    return mask


def resized(mask: Mask, height: int, width: int) -> Mask:
    """Return a mask at another size; each pixel takes the one under its centre."""
    if mask.shape == (height, width):
        return mask
    lines, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip((height, width), mask.shape, strict=True)
    )
    return np.ascontiguousarray(mask[np.ix_(lines, columns)])


def to_json(mask: NDArray[np.generic]) -> str:
    """Return a mask as JSON `{"size": [h, w], "counts": "<COCO compressed RLE>"}`."""
    # pycocotools counts down the columns and takes this memory order alone.
    code = coco.encode(np.asfortranarray(np.asarray(mask) > 0, dtype=np.uint8))
    return json.dumps({"size": [int(v) for v in code["size"]], "counts": code["counts"].decode()})


def from_json(text: str) -> Mask:
    """Return the `[h, w]` mask of a JSON text made by `to_json`.

    Raises:
        UserError: the text is none.
    """
    code = run_lengths(text)
    with warnings.catch_warnings():
        # pycocotools answers numpy's `copy` keyword in the old way.
        warnings.simplefilter("ignore", DeprecationWarning)
        decoded: Mask = coco.decode(code)
    return np.ascontiguousarray(decoded)


def run_lengths(text: str) -> dict[str, Any]:
    """Return size and COCO run lengths of a JSON text, as pycocotools takes them.

    Its C code believes every length: a sum beyond the image would be written behind its memory.

    Raises:
        UserError: the text is no such JSON, or the runs do not fill the image exactly.
    """
    try:
        code = json.loads(text)
        height, width = code["size"]
        counts = np.frombuffer(code["counts"].encode("ascii"), np.uint8)
        sides = all(type(side) is int and side > 0 for side in (height, width))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError("a mask that is no JSON of COCO run lengths") from error
    if not sides:
        raise UserError("a mask whose size is no height and width; make the table again")
    check_limit("SISTA_MAX_PIXELS", height * width, "a mask")
    if not _fill(counts, height * width):
        raise UserError(f"run lengths that do not fill a mask of {width} x {height} px")
    return {"size": [height, width], "counts": counts.tobytes()}


def _fill(letters: NDArray[np.uint8], pixels: int) -> bool:
    """Return whether COCO's letters hold lengths of at least 0 that add up to `pixels`."""
    # A number has five bits a letter, the lowest first; bit 6 says that another letter follows.
    digits = letters.astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return False
    last = np.flatnonzero(digits & 32 == 0)
    first = np.concatenate(([0], last[:-1] + 1))
    if (last - first).max() > MOST_LETTERS - 1:
        return False
    place = 5 * (np.arange(len(digits)) - np.repeat(first, last - first + 1))
    numbers = np.add.reduceat((digits & 31) << place, first)
    # Bit 5 of the last letter is the sign.
    numbers -= np.where(digits[last] & 16, 1 << (5 * (last - first + 1)), 0)
    # From the fourth on each is the difference to the one two before.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return bool(numbers.min() >= 0 and numbers.sum() == pixels)


def check_frames(image: Image.Image, where: str) -> None:
    """Refuse a picture of several frames: which of them is meant is not known.

    Raises:
        UserError: it has some.
    """
    # Photographs of telephones hold previews of themselves behind the one picture.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise UserError(f"{where}: a picture of several frames; store the one that is meant alone")


class MaskSource(Protocol):
    """How a data set stores a mask; drawn when the size of the image is known."""

    def draw(self, root: Path, height: int, width: int) -> Mask:
        """Return the mask of an image of that native size; `root` is the source folder."""


@dataclass(frozen=True)
class RelativeRle:
    """Union of SIIM-ACR run-length strings of one image.

    `side` is that of the square frame they count in, None = the image itself.
    """

    runs: tuple[str, ...]
    side: int | None = None

    @property
    def end(self) -> int:
        """Number of pixels up to the end of the last run; 0 without runs or for a bad string."""
        ends = (sum(map(int, runs.split())) for runs in self.runs if _are_counts(runs.split()))
        return max(ends, default=0)

    def draw(self, root: Path, height: int, width: int) -> Mask:
        """Return the union of the runs."""
        frame = (height, width) if self.side is None else (self.side, self.side)
        mask = np.zeros(frame, dtype=np.uint8)
        for runs in self.runs:
            mask |= decode_relative_rle(runs, *frame)
        return resized(mask, height, width)


@dataclass(frozen=True)
class FilledBoxes:
    """Union of filled boxes (x, y, w, h) in native pixels."""

    boxes: tuple[tuple[float, float, float, float], ...]

    def draw(self, root: Path, height: int, width: int) -> Mask:
        """Return the filled boxes."""
        return fill_boxes(self.boxes, height, width)


@dataclass(frozen=True)
class CocoRle:
    """Run lengths as COCO writes them, in a frame of their own size."""

    text: str

    def draw(self, root: Path, height: int, width: int) -> Mask:
        """Return the mask, scaled to the image.

        Raises:
            ValueError: the text is no mask, or of other proportions than the image.
        """
        try:
            mask = from_json(self.text)
        except UserError as error:
            raise ValueError(str(error)) from error
        if not _same_shape((mask.shape[1], mask.shape[0]), width, height):
            raise ValueError(f"a mask of {mask.shape[1]} x {mask.shape[0]} px")
        return resized(mask, height, width)


@dataclass(frozen=True)
class MaskFile:
    """A picture in black and white of the same shape; of another size it is scaled.

    Attributes:
        path: below the source folder.
        more: further files, whose union with the first one is the mask.
    """

    path: str
    more: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """All files."""
        return (self.path, *self.more)

    def draw(self, root: Path, height: int, width: int) -> Mask:
        """Return the mask of the files.

        Raises:
            ValueError: a file cannot be read or is no mask, or of other proportions.
        """
        masks = [_from_file(root, path, height, width) for path in self.paths]
        union: Mask = np.bitwise_or.reduce(masks)
        return union


def _from_file(root: Path, path: str, height: int, width: int) -> Mask:
    grey: NDArray[np.uint8] | None = None
    try:
        with reading(root / path), Image.open(root / path, formats=FORMATS) as image:
            size = image.size
            # Before its pixels are unpacked: a small file may hold any number of them.
            check_limit("SISTA_MAX_PIXELS", size[0] * size[1], f"mask {path}")
            check_frames(image, f"mask {path}")
            # Infinity would become white.
            if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
                raise UserError("pixels that are no finite numbers")
            if _same_shape(size, width, height):
                grey = np.asarray(image.convert("L"))
    except UserError as error:
        raise ValueError(f"mask {path} cannot be read") from error
    if grey is None:
        raise ValueError(f"mask {path} is {size[0]} x {size[1]} px, of other proportions")
    if ((grey > MOST_BLACK) & (grey < LEAST_WHITE)).mean() > MOST_GREY:
        raise ValueError(f"mask {path} is a picture in grey and no mask")
    return resized((grey > 127).astype(np.uint8), height, width)


def _same_shape(size: tuple[int, int], width: int, height: int) -> bool:
    # Sides are whole pixels: half a one of rounding on the smaller of the two.
    slack = max(sum(size), height + width) / 2
    return abs(size[1] * width - size[0] * height) <= slack
