"""The one geometry: bits of the earlier formulas, there and back, the pixels themselves."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import maximum_filter

from sista.encoders.features import prepare_images
from sista.errors import UserError
from sista.preparation.frame import Frame
from sista.preparation.radiograph import fit

ZOOMS = (1.0, 256 / 224, 1.5)
PLAIN = SimpleNamespace(mean=(0.0,) * 3, std=(1.0,) * 3, standardise=False)


@st.composite
def frames(draw, longest=3000, zooms=ZOOMS):
    """Square, portrait and landscape films, small and large, in networks of several sizes."""
    long = draw(st.sampled_from([40, 300, 1024, longest]) | st.integers(20, longest))
    short = draw(st.just(long) | st.integers(max(8, long // 4), long))
    width, height = draw(st.permutations([min(long, longest), min(short, longest)]))
    place = Frame.fitted(width, height, draw(st.sampled_from([64, 96, 256, 512])))
    row = {name: getattr(place, name) for name in ("scale", "pad_x", "pad_y", "width", "height")}
    size = draw(st.sampled_from([48, 64, 73, 224]))
    return Frame.of(row, place.prepared, size, draw(st.sampled_from(zooms)))


# --- The formulas that stood in prepare, segmentation, detection and the sheets before. ---


def old_fit(height, width, size):
    scale = size / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    return scale, (size - new_width) // 2, (size - new_height) // 2


def old_zoom_and_shift(frame):
    scale = np.array([frame.scale])
    zoom = scale * frame.size / float(frame.prepared)
    shift = -np.array([[frame.pad_x, frame.pad_y]]) / scale[:, None]
    return zoom[0], shift[0]


def old_corners(native, frame):
    zoom, shift = old_zoom_and_shift(frame)
    low = (native[:, :2] - shift) * zoom
    return np.hstack((low, low + native[:, 2:] * zoom))


def old_to_native(corners, frame):
    zoom, shift = old_zoom_and_shift(frame)
    native = corners.reshape(-1, 2, 2) / zoom + shift
    native = native.clip(0, [frame.width, frame.height])
    return np.hstack((native[:, 0], native[:, 1] - native[:, 0]))


def old_place_mask(mask, frame):
    centres = (np.arange(frame.size) + 0.5) * frame.prepared / frame.size
    columns = np.floor((centres - frame.pad_x) / frame.scale).astype(int)
    lines = np.floor((centres - frame.pad_y) / frame.scale).astype(int)
    height, width = mask.shape
    inside_x = (columns >= 0) & (columns < width)
    inside_y = (lines >= 0) & (lines < height)
    placed = mask[np.ix_(lines.clip(0, height - 1), columns.clip(0, width - 1))]
    return placed * np.outer(inside_y, inside_x).astype(np.uint8)


def same_bits(a, b):
    """Signs of zeros too."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


FLOATS = st.floats(-50, 3000, width=64) | st.sampled_from([-0.0, 0.0, 223.999])


@given(frames(zooms=(1.0,)), arrays(float, (5, 4), elements=FLOATS))
@settings(max_examples=120, deadline=None)
def test_points_and_boxes_keep_their_bits_without_zoom(frame, numbers):
    scale, left, top = old_fit(frame.height, frame.width, frame.prepared)
    assert (frame.scale, frame.pad_x, frame.pad_y) == (scale, float(left), float(top))
    assert same_bits(frame.network_boxes(numbers), old_corners(numbers, frame))
    assert same_bits(frame.native_boxes(numbers), old_to_native(numbers, frame))
    zoom, shift = old_zoom_and_shift(frame)
    assert same_bits(frame.network_points(numbers[:, :2]), (numbers[:, :2] - shift) * zoom)
    assert same_bits(frame.native_points(numbers[:, :2]), numbers[:, :2] / zoom + shift)
    for box in numbers:
        x, y, w, h = box * float(frame.scale)
        old = [x + float(frame.pad_x), y + float(frame.pad_y), w, h]
        assert same_bits(frame.prepared_boxes(box), old)


@given(frames(longest=300, zooms=(1.0,)), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_masks_keep_their_bits_without_zoom(frame, seed):
    mask = np.random.default_rng(seed).integers(0, 2, (frame.height, frame.width), dtype=np.uint8)
    assert same_bits(frame.network_mask(mask), old_place_mask(mask, frame))
    steps = (np.arange(frame.size) + 0.5) * frame.prepared / frame.size
    assert same_bits(frame.prepared_steps(np.arange(frame.size) + 0.5), steps)
    assert frame.seen == (0.0, frame.prepared)


# --- There and back again. ---


def test_a_mask_with_scale_and_padding():
    # 40 x 20 native pixels, halved and centred in 20 x 20 prepared ones, shown at 10 x 10.
    mask = np.zeros((20, 40), dtype=np.uint8)
    mask[:, 20:] = 1
    frame = Frame(0.5, 0.0, 5.0, 40, 20, prepared=20, size=10)
    assert frame == Frame.of(vars(Frame.fitted(40, 20, 20)), 20, 10)
    expected = np.zeros((10, 10), dtype=np.uint8)
    # Rows whose centre lies in prepared pixels 5 to 15.
    expected[2:7, 5:] = 1
    np.testing.assert_array_equal(frame.network_mask(mask), expected)


def test_a_zoom_by_hand():
    # 80 x 80 native pixels, 40 prepared, scaled to 30, of which 20 are seen from 5.
    frame = Frame(0.5, 0.0, 0.0, 80, 80, prepared=40, size=20, zoom=1.5)
    assert (frame.side, frame.start) == (30, 5)
    assert frame.seen == pytest.approx((5 / 0.75, 25 / 0.75))
    np.testing.assert_allclose(frame.network_points(np.array([40.0, 16.0])), [10.0, 1.0])
    np.testing.assert_allclose(frame.network_boxes(np.array([0.0, 16, 40, 8])), [-5, 1, 10, 4])
    np.testing.assert_allclose(frame.native_boxes(np.array([-9.0, 1, 10, 4])), [0, 16, 40, 8])


def test_a_zoom_below_1_is_refused():
    with pytest.raises(UserError, match=r"zoom 0\.9 makes an image of 202 px .* 224 px"):
        Frame(1.0, 0.0, 0.0, 256, 256, prepared=256, size=224, zoom=0.9)


@given(frames(), st.data())
@settings(max_examples=120, deadline=None)
def test_boxes_come_back(frame, data):
    share = st.floats(0, 1)
    film = np.array([frame.width, frame.height], dtype=float)
    one, other = (np.array([data.draw(share), data.draw(share)]) * film for _ in range(2))
    low, high = np.minimum(one, other), np.maximum(one, other)
    box = np.concatenate((low, high - low))
    corners = frame.network_boxes(box)
    np.testing.assert_allclose(frame.native_boxes(corners), box, atol=1e-8)
    np.testing.assert_allclose(corners[2:], frame.network_points(high), atol=1e-8)
    # A box that is cut at the network's square comes back as the part that lies in it.
    seen = frame.native_points(np.array([[0.0, 0.0], [frame.size, frame.size]]))
    back = frame.native_boxes(corners.clip(0, frame.size))
    within = [np.clip(each, seen[0], seen[1]).clip(0, film) for each in (low, high)]
    np.testing.assert_allclose(back, [*within[0], *(within[1] - within[0])], atol=1e-8)
    # The square lies in prepared pixels where the two ways of going there meet.
    for corner, place in zip(seen, frame.seen, strict=True):
        np.testing.assert_allclose(frame.prepared_points(corner), place, atol=1e-8)


@given(frames(longest=400), st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 40]))
@settings(max_examples=60, deadline=None)
def test_masks_come_back_to_one_pixel_of_the_coarser_grid(frame, seed, grain):
    """Drawn back, a mask differs from the truth only within one pixel of an edge of the truth."""
    random = np.random.default_rng(seed)
    height, width = frame.height, frame.width
    cells = random.integers(0, 2, (height // grain + 1, width // grain + 1), dtype=np.uint8)
    truth = np.kron(cells, np.ones((grain, grain), np.uint8))[:height, :width]
    placed = frame.network_mask(truth)
    assert placed.shape == (frame.size, frame.size)
    back = frame.native_mask(placed)
    low, high = frame.native_points(np.array([[0.0, 0.0], [frame.size, frame.size]]))
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    # How far inside the network's square a native centre lies; on the edge it may be either.
    depth = np.minimum.outer(
        np.minimum(y - low[1], high[1] - y), np.minimum(x - low[0], high[0] - x)
    )
    assert not back[depth < -1e-9].any()
    seen = depth > 1e-9
    # One pixel of the coarser grid in native pixels; beside the film there is no finding.
    reach = int(max(1.0, frame.prepared / (frame.scale * frame.side)) + 1e-9)
    near = {"size": 2 * reach + 1, "mode": "constant"}
    assert (back <= maximum_filter(truth, **near, cval=0))[seen].all()
    assert ((1 - back) <= maximum_filter(1 - truth, **near, cval=1))[seen].all()


# --- The pixels themselves. ---


def edges(profile):
    """Where a profile crosses half of its height, upwards and downwards, to a part of a pixel."""
    above = np.flatnonzero(profile > 0.5)
    first, last = int(above[0]), int(above[-1])
    centres = np.arange(len(profile)) + 0.5
    low, high = 0.0, float(len(profile))
    if first > 0:
        low = np.interp(0.5, profile[first - 1 : first + 1], centres[first - 1 : first + 1])
    if last + 1 < len(profile):
        pair = slice(last, last + 2)
        high = np.interp(0.5, profile[pair][::-1], centres[pair][::-1])
    return low, high


@given(frames(longest=1500), st.data())
@settings(max_examples=80, deadline=None)
def test_a_rectangle_is_found_where_the_frame_says(frame, data):
    film = np.array([frame.width, frame.height])
    corner, extent = (
        np.array([data.draw(st.integers(0, side - 1)), data.draw(st.integers(0, side - 1))])
        for side in (int(film.min()), int(film.min()))
    )
    extent = np.minimum(extent, film - corner)
    box = np.concatenate((corner, extent)).astype(float)
    seen = frame.network_boxes(box).clip(0, frame.size)
    coarser = max(1.0, frame.side / frame.prepared)
    # Of thinner parts no place is fully bright: what is seen spans four pixels of each grid.
    grain = max(coarser, frame.scale * frame.side / frame.prepared)
    assume((seen[2:] - seen[:2] > 4 * grain).all())
    pixels = np.zeros((frame.height, frame.width), np.uint8)
    pixels[corner[1] : corner[1] + extent[1], corner[0] : corner[0] + extent[0]] = 255
    square, place = fit(pixels, frame.prepared)
    assert (place.scale, place.pad_x, place.pad_y) == (frame.scale, frame.pad_x, frame.pad_y)
    image = prepare_images(square[None], PLAIN, frame.size, resize=frame.side)[0, 0].numpy()
    middle = ((seen[:2] + seen[2:]) / 2).astype(int)
    left, right = edges(image[middle[1]])
    top, bottom = edges(image[:, middle[0]])
    np.testing.assert_allclose([left, top, right, bottom], seen, atol=coarser)
