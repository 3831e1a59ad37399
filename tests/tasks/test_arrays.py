"""Arrays as text: exact round trip, and one clear line for anything else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sista.errors import UserError
from sista.tasks._arrays import pack, unpack, unpack_equal

SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
ARRAYS = arrays.arrays(np.float32, SHAPES, elements=st.floats(width=32))


@given(ARRAYS)
def test_a_packed_array_comes_back_exactly(values):
    back = unpack(pack(values))
    assert back.dtype == np.float64
    assert back.shape == values.shape
    np.testing.assert_array_equal(back.astype(np.float32), values)


@given(ARRAYS, st.sampled_from(["F", "reversed", "half"]))
def test_how_an_array_lies_in_memory_does_not_matter(values, order):
    shown = {"F": np.asfortranarray, "reversed": lambda v: v[::-1], "half": lambda v: v[..., ::2]}
    given_values = shown[order](values)
    assert pack(given_values) == pack(given_values.copy(order="C"))


@given(ARRAYS, st.data())
def test_what_is_cut_or_longer_is_refused(values, data):
    text = pack(values)
    shape, _, _ = text.partition(":")
    end = data.draw(st.integers(0, len(text) - 1))
    sides = "x".join(str(side + 1) for side in values.shape)
    for damaged in (text[:end], text + "AAAA", text.replace(shape, sides, 1), f" {text}"):
        with pytest.raises(UserError, match="delete the predictions and run again"):
            unpack(damaged)


@given(st.text() | st.from_regex(r"[0-9x]{0,6}:[A-Za-z0-9+/=]{0,12}", fullmatch=True))
def test_any_text_is_an_array_or_refused(text):
    try:
        found = unpack(text)
    except UserError:
        return
    assert list(found.shape) == [int(side) for side in text.partition(":")[0].split("x")]


@pytest.mark.parametrize(
    "text", ["", ":", "1:", "2:AAAAAA==", "1:AAAA", "1:A\nAA", "-1:", "1x1x1x1x1:"]
)
def test_what_is_no_array_is_refused(text):
    with pytest.raises(UserError, match="not a packed array"):
        unpack(text)


def test_five_axes_are_refused_where_they_are_packed():
    with pytest.raises(ValueError, match="5 axes"):
        pack(np.zeros((1, 1, 1, 1, 1)))


def test_arrays_of_one_shape_are_stacked():
    rows = np.arange(6, dtype=float).reshape(3, 2)
    np.testing.assert_array_equal(unpack_equal(map(pack, rows)), rows)
    with pytest.raises(UserError, match=r"shapes \(2,\) and \(3,\)"):
        unpack_equal([pack(np.zeros(2)), pack(np.zeros(3))])
