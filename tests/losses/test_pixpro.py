import math

import torch
import torch.nn.functional as F  # noqa: N812

from sista.losses.pixpro import pixpro, propagate, same_place

GENERATOR = torch.Generator().manual_seed(0)
CELLS = torch.randn(2, 4, 3, generator=GENERATOR, dtype=torch.float64)
OTHER = torch.randn(2, 4, 3, generator=GENERATOR, dtype=torch.float64)


def test_propagation_is_a_weighted_sum_over_the_cells_of_one_image():
    out = propagate(CELLS, OTHER, 2.0)
    for b in range(2):
        for i in range(4):
            expected = torch.zeros(3, dtype=torch.float64)
            for j in range(4):
                cosine = F.cosine_similarity(CELLS[b, i], CELLS[b, j], dim=0).item()
                expected += max(cosine, 0.0) ** 2 * OTHER[b, j]
            torch.testing.assert_close(out[b, i], expected, rtol=1e-9, atol=1e-9)


def test_places_within_reach():
    first = torch.tensor([[[0.25, 0.25], [0.75, 0.75]]])
    second = torch.tensor([[[0.25, 0.30], [0.25, 0.75]]])
    diagonal = torch.tensor([math.hypot(0.5, 0.5)])
    assert same_place(first, second, diagonal, 0.7).tolist() == [[[True, False], [False, False]]]
    assert same_place(first, second, diagonal, 0.71).tolist() == [[[True, True], [False, True]]]


def test_only_cells_of_one_place_are_compared():
    together = torch.zeros(2, 4, 4, dtype=torch.bool)
    together[0, 1, 2] = together[0, 3, 3] = True
    pairs = [F.cosine_similarity(CELLS[0, i], OTHER[0, j], dim=0) for i, j in ((1, 2), (3, 3))]
    # The second image has no overlap and adds 0.
    torch.testing.assert_close(pixpro(CELLS, OTHER, together), -(pairs[0] + pairs[1]) / 4)
    torch.testing.assert_close(
        pixpro(CELLS, CELLS, torch.eye(4).bool().expand(2, -1, -1)).item(), -1.0
    )


def test_gradcheck():
    together = torch.eye(4, dtype=torch.bool).expand(2, -1, -1)
    assert torch.autograd.gradcheck(
        lambda a: pixpro(propagate(a, a), OTHER, together), CELLS.clone().requires_grad_()
    )
