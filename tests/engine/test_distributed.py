import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sista.engine.distributed import Ranks, SynchronisedNorm
from sista.errors import UserError
from tests.engine.test_gradients import assert_equal
from tests.engine.two_processes import CASES, EARLY
from tests.made_up_pairs import ROWS, gradients, trainer

ROOT = Path(__file__).parents[2]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What two processes found."""
    folder = tmp_path_factory.mktemp("two")
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    script = str(Path(__file__).with_name("two_processes.py"))
    subprocess.run([*TORCHRUN, script, str(folder)], cwd=ROOT, env=environment, check=True)
    names = [f"{word}{rank}" for word in ("", "calls", "early") for rank in range(2)]
    return [torch.load(folder / f"{name}.pt", weights_only=True) for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda n: "-".join(map(str, CASES[n])))
def test_two_processes_equal_one(both, case):
    method, encoder, _, double = CASES[case]
    one = gradients(method, encoder, double=double)
    tolerance = 1e-9 if double else 1e-5
    for rank in range(2):
        parts, found, state = both[rank][case]
        assert_equal(one, (parts, found, None), tolerance)
        for name, value in one[2].model.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_a_step_sends_few_messages(both):
    _, found, _ = gradients("clip", "vit")
    for calls in both[2:4]:
        # All embeddings together; gradients in some buckets, not one by one.
        assert calls["all_gather"] == 1
        assert 1 < calls["all_reduce"] < len(found) / 2


@pytest.mark.slow
@pytest.mark.parametrize("case", range(len(EARLY)), ids=lambda n: "-".join(map(str, EARLY[n])))
def test_gradients_are_sent_while_the_pass_runs(both, case):
    for early in both[4:]:
        method, encoder, chunk, (first, second), found = early[case]
        assert first < 0.5
        # All but the last ones, which the end of the pass gives.
        assert second > 0.8
        parts, one, _ = gradients(method, encoder, chunk=chunk, double=True)
        assert_equal((parts, one, None), (parts, found, None), 1e-9)


def test_the_longest_report_lies_in_one_process_only():
    # Else the cases above would not show that parts of different width fit together.
    _, source = trainer("clip", "vit")
    first, second = (source.tokens.length[ROWS[Ranks(rank, 2).share(8)]].max() for rank in range(2))
    assert first < second


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(UserError, match=r"7 pairs cannot be divided among 2"):
        Ranks(0, 2).share(7)
    assert [Ranks(rank, 2).share(8) for rank in range(2)] == [slice(0, 4), slice(4, 8)]


def test_the_synchronised_norm_of_one_process_is_batch_norm():
    torch.manual_seed(0)
    ours, theirs = SynchronisedNorm(3), torch.nn.BatchNorm2d(3)
    x = (10 + torch.randn(4, 3, 5, 5)).requires_grad_()
    y = x.detach().clone().requires_grad_()
    for _ in range(2):
        one, other = ours(x), theirs(y)
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    one.square().mul(torch.arange(5)).sum().backward()
    other.square().mul(torch.arange(5)).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-3, atol=1e-3)
    for (name, value), expected in zip(
        ours.state_dict().items(), theirs.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(value, expected, msg=name)
    assert torch.equal(ours.eval()(x) != 0, theirs.eval()(y) != 0)
