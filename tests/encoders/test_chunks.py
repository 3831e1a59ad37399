from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sista.encoders.chunks import ReportChunk, length_chunks


def padded(chunks, cost):
    return sum(chunk.reports * chunk.tokens + cost for chunk in chunks)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(0, 40))
def test_no_other_cuts_cost_less(lengths, cost):
    length = np.array(lengths)
    found = length_chunks(length, cost)
    ordered = np.sort(length)
    best = np.inf
    for count in range(len(lengths)):
        for cuts in combinations(range(1, len(lengths)), count):
            parts = np.split(ordered, cuts)
            best = min(best, sum(len(part) * part[-1] + cost for part in parts))
    assert padded(found, cost) == best
    assert sum(chunk.reports for chunk in found) == len(lengths)


def test_equal_reports_need_no_mask_and_no_cut():
    assert length_chunks(np.full(5, 9)) == (ReportChunk(5, 9, True),)
    assert length_chunks(np.array([9, 8, 9]), 0.0) == (
        ReportChunk(1, 8, True),
        ReportChunk(2, 9, True),
    )


@pytest.mark.parametrize(("cost", "count"), [(0.0, 3), (1e6, 1)])
def test_a_dear_chunk_is_not_cut(cost, count):
    assert len(length_chunks(np.array([3, 7, 20]), cost)) == count
