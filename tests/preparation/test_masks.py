import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sista.preparation import masks

GOLDEN = Path(__file__).parents[1] / "golden"
RLE = json.loads((GOLDEN / "rle.json").read_text())


@pytest.mark.parametrize("pair", RLE["pairs"], ids=lambda pair: pair["what"])
def test_run_lengths_are_those_of_the_reference(pair):
    with np.load(GOLDEN / "rle_masks.npz") as arrays_:
        expected = arrays_[pair["array"]]
    mask = masks.decode_relative_rle(pair["rle"], pair["height"], pair["width"])
    np.testing.assert_array_equal(mask, expected)
    assert masks.encode_relative_rle(expected) == pair["rle"].strip()


def test_boxes_are_filled_by_the_rule_of_the_field():
    golden = json.loads((GOLDEN / "rsna_boxes.json").read_text())
    with np.load(GOLDEN / "rsna_masks.npz") as packed:
        for image in golden["images"]:
            name = image["patientId"]
            rows = [r for r in golden["table"] if r["patientId"] == name and r["Target"] == 1]
            boxes = [(r["x"], r["y"], r["width"], r["height"]) for r in rows]
            mask = masks.fill_boxes(boxes, 1024, 1024)
            np.testing.assert_array_equal(mask, np.unpackbits(packed[name], axis=1))
            assert mask.sum() == image["area"]


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 1))
)
@settings(max_examples=150, deadline=None)
def test_encoding_and_decoding_gives_the_mask_back(mask):
    text = masks.encode_relative_rle(mask)
    np.testing.assert_array_equal(masks.decode_relative_rle(text, *mask.shape), mask)
    np.testing.assert_array_equal(masks.from_json(masks.to_json(mask)), mask)


@given(st.text(alphabet="0123456789 -a.", max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_text_is_decoded_or_refused(text):
    try:
        mask = masks.decode_relative_rle(text, 5, 4)
    except ValueError:
        return
    assert mask.shape == (5, 4)


@pytest.mark.parametrize("runs", ["", "3", "1 2 3", "0 21", "19 2", "a b", "-2 3"])
def test_bad_run_lengths_are_refused(runs):
    with pytest.raises(ValueError, match="run length code"):
        masks.decode_relative_rle(runs, 5, 4)
