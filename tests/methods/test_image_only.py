"""What the methods without reports and with a state of their own keep."""

import math

import torch
import torch.nn.functional as F  # noqa: N812

from sista.engine.interface import Embedded
from sista.methods.ifnd import ifnd, pseudo_labels
from sista.methods.pixpro import corresponding
from sista.methods.simclr import simclr
from tests.methods.test_methods import SPECS, batch, build


def clouds():
    """Three clouds of four points, the fourth of each far from its centre."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.eye(3).repeat_interleave(4, 0)
    spread = torch.tensor([0.01, 0.02, 0.03, 0.6]).repeat(3)[:, None]
    return centre + spread * torch.rand(12, 3, generator=generator)


def test_pseudo_labels_are_the_clusters_and_the_surest_come_first():
    every = pseudo_labels(clouds(), 3, 1.0, 0.1)
    assert (every.view(3, 4) == every.view(3, 4)[:, :1]).all()
    assert len(every.unique()) == 3
    half = pseudo_labels(clouds(), 3, 0.75, 0.1).view(3, 4)
    assert (half[:, 3] == -1).all()
    assert torch.equal(half[:, :3], every.view(3, 4)[:, :3])


def test_ifnd_starts_as_simclr_and_then_leaves_out_its_clusters():
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.randn(6, 8, generator=generator) for _ in range(2))
    e = Embedded(image=first, second=second, rows=torch.tensor([0, 1, 4, 5, 8, 9]))
    objective, plain = ifnd(clusters=3), simclr()
    objective.prepare(12)
    objective.before_epoch(clouds, 0.0)
    torch.testing.assert_close(objective(e)["loss"], plain(e)["loss"])
    objective.before_epoch(clouds, 0.999)
    parts = objective(e)
    assert parts["loss"] < plain(e)["loss"]
    # Of the 30 ordered pairs, (0, 1), (4, 5) and (8, 9) share a cluster.
    torch.testing.assert_close(parts["eliminated"], torch.tensor(6 / 30))
    objective.eval()
    torch.testing.assert_close(objective(e)["loss"], plain(e)["loss"])


def test_cells_of_two_views_correspond_by_their_place_in_the_image():
    whole = [0.0, 0.0, 1.0, 1.0, 0.0]
    mirrored = [0.0, 0.0, 1.0, 1.0, 1.0]
    corner = [0.0, 0.0, 0.5, 0.5, 0.0]
    boxes = torch.tensor([[whole, whole], [whole, mirrored], [whole, corner]])
    found = corresponding(boxes, 16, 0.1)
    assert torch.equal(found[0], torch.eye(16, dtype=torch.bool))
    swapped = torch.arange(16).view(4, 4).flip(1).flatten()
    assert torch.equal(found[1], torch.eye(16, dtype=torch.bool)[swapped])
    # A corner's cells are half as large: none has its centre where a cell of the whole has.
    assert not found[2].any()
    near = corresponding(boxes, 16, 0.3)[2]
    assert near.any(1).view(4, 4).tolist() == [[True, True, False, False]] * 2 + [[False] * 4] * 2


def test_the_momentum_of_pixpro_grows_to_one():
    objective, model = build("pixpro", SPECS[1], momentum=0.9)
    objective(model(batch()))
    followed = next(model.pixel_head.parameters())
    follower = next(model.target.pixel_head.parameters())
    with torch.no_grad():
        followed.add_(1.0)
    for progress in (0.5, 1.0):
        before = follower.clone()
        objective.after_step(model, progress)
        momentum = 1 - 0.1 * (math.cos(math.pi * progress) + 1) / 2
        torch.testing.assert_close(follower, momentum * before + (1 - momentum) * followed)


def test_pixpro_compares_the_propagated_cells_with_the_momentum_copy():
    objective, model = build("pixpro", SPECS[1])
    e = model(batch())
    assert not e.target_pixels.requires_grad
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0, 0.0]] * 2] * 6)
    same = e._replace(target_pixels=e.second_pixels, target_second_pixels=e.pixels, boxes=boxes)
    with torch.no_grad():
        objective.value.weight.copy_(torch.eye(256))
        objective.value.bias.zero_()
        objective.sharpness = 50.0
        # So sharp, a cell propagates to itself alone and agrees with itself.
        spread = F.normalize(e.pixels, dim=-1)
        assert (spread @ spread.transpose(1, 2)).mean() < 0.9
        narrow = corresponding(boxes, 16, 0.1)
        assert torch.equal(narrow[0], torch.eye(16, dtype=torch.bool))
        objective.reach = 0.1
        assert objective(same)["loss"] < -1.9
        assert objective(same)["loss"] < objective(e._replace(boxes=boxes))["loss"]
