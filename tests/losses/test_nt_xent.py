import math

import torch
import torch.nn.functional as F  # noqa: N812

from sista.losses.nt_xent import nt_xent

GENERATOR = torch.Generator().manual_seed(0)
FIRST = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
SECOND = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)


def naive(first, second, tau, same):
    """The same by a loop over the 2B views; `same` holds pairs of images that are left out."""
    views = [F.normalize(v, dim=0) for v in (*first, *second)]
    count = len(first)
    total = 0.0
    for i, view in enumerate(views):
        partner = (i + count) % (2 * count)
        others = [
            k
            for k in range(2 * count)
            if k == partner or (k % count != i % count and (i % count, k % count) not in same)
        ]
        own = math.exp(float(view @ views[partner]) / tau)
        total -= math.log(own / sum(math.exp(float(view @ views[k]) / tau) for k in others))
    return total / (2 * count)


def test_second_implementation():
    loss = nt_xent(FIRST, SECOND, temperature=0.3)
    assert abs(loss.item() - naive(FIRST, SECOND, 0.3, set())) < 1e-12


def test_eliminated_images_are_no_negatives_of_each_other():
    same = {(0, 3), (3, 0), (1, 2), (2, 1)}
    alike = torch.eye(5, dtype=torch.bool)
    for i, j in same:
        alike[i, j] = True
    loss = nt_xent(FIRST, SECOND, temperature=0.3, eliminate=alike)
    assert abs(loss.item() - naive(FIRST, SECOND, 0.3, same)) < 1e-12
    assert loss < nt_xent(FIRST, SECOND, temperature=0.3)


def test_nothing_to_tell_apart_costs_nothing():
    assert nt_xent(FIRST[:1], SECOND[:1], temperature=0.1).abs() < 1e-12
    every = torch.ones(5, 5, dtype=torch.bool)
    assert nt_xent(FIRST, SECOND, temperature=0.1, eliminate=every).abs() < 1e-12


def test_gradcheck():
    alike = torch.eye(5, dtype=torch.bool)
    alike[0, 3] = alike[3, 0] = True
    leaves = (FIRST.clone().requires_grad_(), SECOND.clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda a, b: nt_xent(a, b, temperature=0.5, eliminate=alike), leaves
    )
