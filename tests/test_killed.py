"""25 runs of the smoke grid, each killed -9 at a random moment and resumed once (an hour)."""

import os

import pytest

from tests.killed import kill_test


@pytest.mark.slow
def test_a_killed_grid_ends_with_the_same_bits(tmp_path):
    runs = int(os.environ.get("SISTA_KILL_RUNS", "25"))
    outcomes = kill_test(runs, "benchmarks/smoke.yaml", tmp_path / "kill_test.csv")
    assert [each for each in outcomes if not each.good] == []
    assert any(each.done_then > 0 for each in outcomes)
