"""What holds for every method of the registry, whatever its formula."""

import pytest
import torch

from sista.engine.interface import Embedded
from tests.methods.test_methods import SPECS, batch, build, trained

# Parts that the objective itself does not differentiate, so that numbers disagree on purpose.
STOPS_GRADIENT: set[str] = {"mgca", "prior"}
# Negatives that are the next images of the batch become all other images.
ALL_NEGATIVES = {"sista": {"image_negatives": 5}}


def alike():
    """Similarities with positives, a band between and negatives, but no report like all others."""
    similarity = torch.full((6, 6), 0.1)
    similarity[0, 1] = similarity[1, 0] = 0.99
    similarity[2, 3] = similarity[3, 2] = 0.975
    return similarity.fill_diagonal_(1.0)


def loss(objective, model, given):
    return objective(model(given))["loss"]


@pytest.mark.parametrize("method", trained())
def test_the_order_of_the_batch_does_not_matter(method):
    objective, model = build(method, SPECS[0], **ALL_NEGATIVES.get(method, {}))
    given = batch()._replace(similarity=alike())
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    changed = given._replace(
        **{
            name: value[order]
            for name, value in given._asdict().items()
            if isinstance(value, torch.Tensor)
        }
    )
    changed = changed._replace(similarity=given.similarity[order][:, order])
    torch.testing.assert_close(
        loss(objective, model, changed), loss(objective, model, given), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("method", trained())
def test_padding_never_leaks(method):
    objective, model = build(method, SPECS[1])
    given = batch()._replace(similarity=alike())
    padding = torch.arange(given.ids.shape[1]) >= given.length[:, None]
    other = given._replace(ids=torch.where(padding, 39, given.ids))
    # Twice the same draw of what a method keeps from batch to batch.
    model.eval()
    objective.eval()
    torch.testing.assert_close(loss(objective, model, other), loss(objective, model, given))
    e = model(given)
    garbage = {}
    for name in ("word", "sentence"):
        mask = getattr(e, f"{name}_mask", None)
        if mask is not None:
            values = getattr(e, f"{name}s")
            garbage[f"{name}s"] = torch.where(mask[..., None], values, 1e3 * torch.rand(()))
    torch.testing.assert_close(objective(e._replace(**garbage))["loss"], objective(e)["loss"])


@pytest.mark.parametrize("method", [m for m in trained() if m not in STOPS_GRADIENT])
def test_gradient_by_finite_differences(method):
    changed = {"width": 3} if "width" in signature(method) else {}
    objective, model = build(method, SPECS[0], **changed)
    e = model(batch(4)._replace(similarity=alike()[:4, :4]))
    objective.double().eval()
    parts = {
        name: value.detach().double() if value.is_floating_point() else value
        for name, value in e._asdict().items()
        if value is not None
    }
    names = [name for name, value in e._asdict().items() if value is not None and value.grad_fn]
    assert names

    def value(*given):
        return objective(Embedded(**(parts | dict(zip(names, given, strict=True)))))["loss"]

    leaves = tuple(parts[name].clone().requires_grad_() for name in names)
    assert torch.autograd.gradcheck(value, leaves, fast_mode=True)


def signature(method):
    from sista import registry

    return registry.settings("methods", method)


@pytest.mark.parametrize("method", trained())
def test_a_batch_of_one_is_finite(method):
    objective, model = build(method, SPECS[1])
    model.eval()
    one = batch(1)._replace(similarity=torch.ones(1, 1))
    parts = objective(model(one))
    assert all(torch.isfinite(part) for part in parts.values())
