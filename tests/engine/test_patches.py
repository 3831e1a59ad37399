"""Patches of one map and of a feature pyramid."""

import torch
from torch.nn import functional

from sista.encoders.image import ImageEncoder
from sista.engine.patches import PatchHead
from tests.made_up_pairs import SPECS


def maps(image):
    torch.manual_seed(1)
    return image(torch.randn(2, 3, 64, 64)).maps


def test_one_map_is_a_linear_layer_on_its_cells():
    image = ImageEncoder(SPECS["resnet"])
    head = PatchHead(image, 16, 5, top_down=False)
    found, given = head(maps(image)), maps(image)[2]
    cell = head.finest(given[1, :, 2, 3])
    torch.testing.assert_close(found[1, 2 * given.shape[3] + 3], cell)
    assert len(head.behind) == 0


def test_a_pyramid_adds_each_coarser_cell_to_the_finer_ones_below_it():
    image = ImageEncoder(SPECS["resnet"])
    head = PatchHead(image, 8, 5, top_down=True)
    c3, c4, c5 = maps(image)[1:]
    found = head((None, c3, c4, c5))
    width = c3.shape[3]
    assert found.shape == (2, width * width, 5)
    row, column = 5, 2
    expected = head.finest(c3[0, :, row, column])
    for layer, coarse in zip(head.behind, (c4, c5), strict=True):
        factor = width // coarse.shape[3]
        cell = coarse[0, :, row // factor, column // factor]
        expected = expected + functional.linear(cell, layer.weight)
    torch.testing.assert_close(found[0, row * width + column], expected)


def test_only_a_pyramid_trains_the_stages_behind_its_map():
    for top_down in (False, True):
        image = ImageEncoder(SPECS["resnet"])
        PatchHead(image, 8, 5, top_down)(maps(image)).sum().backward()
        reached = any(p.grad is not None for p in image.body.layer4.parameters())
        assert reached == top_down


def test_a_vit_has_one_map():
    image = ImageEncoder(SPECS["vit"])
    assert len(PatchHead(image, 16, 5, top_down=True).behind) == 0


def test_centred_patches_do_not_tell_what_the_whole_film_shares():
    image = ImageEncoder(SPECS["vit"])
    given = image(torch.randn(2, 3, image.size, image.size)).maps[0]
    shared = torch.randn(2, given.shape[1], 1, 1)
    for centred in (False, True):
        head = PatchHead(image, 16, 5, top_down=False, centred=centred)
        alike = torch.allclose(head((given,)), head((given + shared,)), atol=1e-5)
        assert alike == centred
