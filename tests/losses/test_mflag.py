import torch
import torch.nn.functional as F  # noqa: N812

from sista.losses.mflag import alignment, orthogonality

GENERATOR = torch.Generator().manual_seed(0)
LATENT = torch.randn(8, 5, generator=GENERATOR, dtype=torch.float64)


def test_alignment_is_the_squared_distance_both_ways():
    other = torch.randn(8, 5, generator=GENERATOR, dtype=torch.float64)
    distance = (F.normalize(LATENT, dim=1) - F.normalize(other, dim=1)).square().sum(1)
    torch.testing.assert_close(alignment(LATENT, other), 2 * distance.mean())
    torch.testing.assert_close(alignment(LATENT, LATENT), torch.zeros((), dtype=torch.float64))


def test_orthogonality_counts_each_entry_of_the_product():
    expected = 0.0
    for i in range(5):
        for j in range(5):
            c = sum(LATENT[b, i].item() * LATENT[b, j].item() for b in range(8)) / 8
            expected += (c - 1) ** 2 if i == j else 0.0051 * c**2
    assert abs(orthogonality(LATENT).item() - expected / 2) < 1e-12


def test_orthogonal_axes_of_unit_power_cost_nothing():
    axes = torch.linalg.qr(LATENT).Q * 8**0.5
    assert orthogonality(axes).item() < 1e-20
    assert orthogonality(2 * axes) > 1


def test_gradcheck():
    other = torch.randn(8, 5, generator=GENERATOR, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda a: alignment(a, other) + orthogonality(a), LATENT.clone().requires_grad_()
    )
