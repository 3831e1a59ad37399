from pathlib import Path

import numpy as np
import pytest
import torch

from sista.losses import info_nce, sia

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sia_reference.npz")
CASES = ["mixed", "identical", "none", "batch1", "row_all_false_neg", "ties", "large_logits"]
MODES = {
    "elim": {"mode": "eliminate", "threshold": 0.875},
    "attract": {"mode": "attract", "threshold": 0.9375, "neutral": 0.8125},
    "soft": {"mode": "soft", "soft_temperature": 0.2},
    "infonce": {"mode": "infonce"},
}


def inputs(case, dtype=torch.float64):
    v, t, r = (torch.tensor(GOLDEN[f"{case}_{k}"], dtype=dtype) for k in "vtR")
    return v.requires_grad_(), t.requires_grad_(), r, float(GOLDEN[f"{case}_tau"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", list(MODES))
def test_golden_value_and_gradient(case, name):
    v, t, r, tau = inputs(case)
    loss = sia(v, t, r, temperature=tau, **MODES[name])
    loss.backward()
    tolerance = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(loss.item(), GOLDEN[f"{case}_{name}_loss"], **tolerance)
    np.testing.assert_allclose(v.grad, GOLDEN[f"{case}_{name}_grad_v"], **tolerance)
    np.testing.assert_allclose(t.grad, GOLDEN[f"{case}_{name}_grad_t"], **tolerance)


@pytest.mark.parametrize("name", list(MODES))
def test_single_precision_is_close(name):
    v, t, r, tau = inputs("mixed", torch.float32)
    loss = sia(v, t, r, temperature=tau, **MODES[name])
    np.testing.assert_allclose(loss.item(), GOLDEN[f"mixed_{name}_loss"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["eliminate", "attract"])
def test_without_false_negatives_it_is_info_nce(mode):
    v, t, r, tau = inputs("mixed")
    expected = info_nce(v, t, temperature=tau)
    torch.testing.assert_close(sia(v, t, r, temperature=tau, mode=mode, threshold=1.0), expected)


def test_identical_reports_leave_nothing_to_contrast():
    v, t, _, tau = inputs("mixed")
    loss = sia(v, t, torch.ones(8, 8, dtype=v.dtype), temperature=tau, threshold=0.9)
    loss.backward()
    assert loss.item() == 0.0
    assert v.grad.abs().max() == 0.0


def test_other_rows_do_not_change_a_row_without_negatives():
    v, t, r, tau = inputs("row_all_false_neg")
    first = sia(v, t, r, temperature=tau, threshold=0.875)
    assert torch.isfinite(first)


@pytest.mark.parametrize("name", ["elim", "attract", "soft"])
def test_gradcheck(name):
    v, t, r, _ = inputs("ties")
    assert torch.autograd.gradcheck(
        lambda a, b: sia(a, b, r, temperature=0.5, **MODES[name]), (v, t)
    )


def test_a_missing_threshold_is_said():
    v, t, r, tau = inputs("ties")
    with pytest.raises(ValueError, match="needs a threshold"):
        sia(v, t, r, temperature=tau)
    with pytest.raises(ValueError, match="unknown mode"):
        sia(v, t, r, temperature=tau, mode="other", threshold=0.5)
