"""Cost of a step in counts, which do not depend on the machine; see benchmarks/speed/sta.py."""

import pytest
import torch

from benchmarks.speed.measures import host_syncs, operations
from benchmarks.speed.sta import STEPS, sista_step

FORMS = {
    **STEPS,
    "batch-wise": {"image_negatives": -1, "sparsify": "softmax"},
    "attract": {"sia_mode": "attract", "recentre": "running"},
}
SMALL = (9, 7, 8)


@pytest.mark.parametrize("name", list(FORMS))
def test_operations_do_not_grow_with_the_batch(name):
    counts = {operations(sista_step(batch, SMALL, **FORMS[name])) for batch in (16, 48, 96)}
    assert len(counts) == 1
    assert counts.pop() < 400


@pytest.mark.parametrize("name", list(FORMS))
def test_no_value_is_waited_for(name):
    assert host_syncs(sista_step(8, SMALL, **FORMS[name])) == 0


def test_the_counters_see_what_they_count():
    x = torch.ones(3)
    assert operations(lambda: x.view(1, 3) + x) == 1
    assert host_syncs(lambda: x.sum().item()) == 1
    assert host_syncs(lambda: x[x > 0]) == 1
