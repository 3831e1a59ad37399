import numpy as np
import pytest
import torch

from sista.engine.films import Films
from sista.engine.views import ViewPolicy, box_centres, crop, two_views

PLAIN = ViewPolicy(smallest=0.2, flip=True, jitter=0.0, blur=0.0)


def ramp(count=4, side=32):
    """Images whose value tells the place: 4 times the row plus a quarter of the column."""
    along = np.arange(side)
    image = 4 * along[:, None] + along[None, :] // 4
    return np.repeat(image[None], count, 0).astype(np.uint8)


def draw(rows=(0, 1, 2, 3), policy=PLAIN, **changes):
    form = {"side": 16, "seed": 3, "epoch": 1} | changes
    return two_views(Films(ramp()), np.array(rows), policy=policy, **form)


def test_a_view_depends_on_seed_epoch_and_image_alone():
    policy = ViewPolicy()
    first, again = draw(policy=policy), draw((2, 0), policy)
    for name in ("first", "second", "boxes"):
        assert torch.equal(getattr(first, name)[[2, 0]], getattr(again, name))
    assert not torch.equal(first.boxes, draw(policy=policy, epoch=2).boxes)
    assert not torch.equal(first.boxes[:, 0], first.boxes[:, 1])


def test_boxes_say_what_a_view_shows():
    views = draw()
    for view, box in zip((views.first, views.second), views.boxes.unbind(1), strict=True):
        down, _ = box_centres(box, 16)
        # The value of the ramp is 4 times the row (cell n has its centre at n + 0.5), and the
        # column adds at most 8.
        expected = 4 * (32 * down - 0.5).clamp(0, 31)
        assert (view.mean(2) - expected).min() > -0.5
        assert (view.mean(2) - expected).max() < 8.5
        assert (box[:, :2] >= 0).all()
        assert (box[:, :2] + box[:, 2:4] <= 1 + 1e-6).all()
        assert (box[:, 2] * box[:, 3] <= 1).all()


def test_the_whole_image_is_itself_and_mirrored():
    image = torch.rand(1, 8, 8)
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.0]])
    mirrored = torch.tensor([[0.0, 0.0, 1.0, 1.0, 1.0]])
    torch.testing.assert_close(crop(image, whole, 8), image)
    torch.testing.assert_close(crop(image, mirrored, 8), image.flip(2))
    torch.testing.assert_close(box_centres(mirrored, 2)[1], torch.tensor([[0.75, 0.25]]))


@pytest.mark.parametrize("name", ["jitter", "blur"])
def test_each_change_can_be_left_out(name):
    changed = ViewPolicy(smallest=0.2, jitter=0.0, blur=0.0)
    plain = draw(policy=changed)
    other = draw(policy=ViewPolicy(smallest=0.2, **({"jitter": 0.0, "blur": 0.0} | {name: 1.0})))
    assert torch.equal(plain.boxes, other.boxes)
    assert not torch.allclose(plain.first, other.first, atol=0.5)
    assert other.first.min() >= 0
    assert other.first.max() <= 255
