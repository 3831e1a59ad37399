import math

import pytest
import torch

from sista import registry
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.encoders.text import small_bert
from sista.engine.diagnostics import geometry, token_gradients
from sista.engine.distributed import Ranks
from sista.engine.gradients import Differentiator
from sista.engine.interface import Embedded
from sista.engine.model import PretrainModel
from tests.methods.test_methods import SPECS, batch

VIT_WITH_CLS = EncoderSpec(
    "c",
    "vit",
    "vit_tiny_patch16_224",
    32,
    {"patch_size": 8, "depth": 2, "embed_dim": 16, "num_heads": 2, "class_token": True},
)


def built(spec, **settings):
    torch.manual_seed(0)
    objective = registry.find("methods", "sista")(**settings)
    model = PretrainModel(ImageEncoder(spec), small_bert(40, 16), objective.needs, 3)
    return model.eval(), objective.eval()


def differentiator(model, objective, precision="no"):
    return Differentiator(model, objective, Ranks(), torch.device("cpu"), precision)


def test_geometry_by_hand():
    same = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    found = geometry(Embedded(image=same, report=same))
    assert found["alignment"] == 0
    assert found["modality_gap"] == 0
    # Two orthogonal unit vectors: squared distance 2, so the log of exp(-4).
    assert found["uniformity_image"].item() == pytest.approx(-4.0)
    opposite = geometry(Embedded(image=same, report=-same))
    assert opposite["alignment"].item() == pytest.approx(4.0)
    assert opposite["modality_gap"].item() == pytest.approx(math.sqrt(2.0))
    assert geometry(Embedded(image=same)) == {}


@pytest.mark.parametrize("spec", [*SPECS, VIT_WITH_CLS], ids=["resnet", "vit", "vit with cls"])
def test_both_levels_reach_the_image_tokens(spec):
    model, objective = built(spec)
    with torch.no_grad():
        found = token_gradients(differentiator(model, objective), batch())
    assert found["gradient_sia"] > 0
    assert found["gradient_sta"] > 0
    ratio = found["gradient_sta"] / found["gradient_sia"]
    torch.testing.assert_close(found["gradient_ratio"], ratio)
    assert all(p.grad is None for p in model.parameters())


def test_gradients_carry_the_weights_of_the_levels():
    trained = [differentiator(*built(SPECS[0], w_sta=w)) for w in (1.0, 3.0, 0.0)]
    one, two, none = (token_gradients(each, batch()) for each in trained)
    torch.testing.assert_close(two["gradient_ratio"], 3.0 * one["gradient_ratio"])
    assert none == {}


def test_what_sista_says_about_a_batch():
    model, objective = built(SPECS[1], theta=0.5)
    normal = torch.tensor([True, True, True, False, False, False])
    alike = torch.eye(6)
    alike[0, 1] = alike[1, 0] = 0.9
    e = model(batch())._replace(similarity=alike, normal=normal)
    found = objective.diagnostics(e)
    assert found["eliminated"].item() == pytest.approx(2 / 30)
    assert found["eliminated_normal"].item() == pytest.approx(2 / 15)
    assert found["eliminated_abnormal"].item() == 0.0
    patches = objective.word_patch_weights(e).shape[-1]
    assert 1.0 <= found["effective_patches"].item() <= patches
    swapped = objective.tokens(e, e.patches.roll(1, 0))["sta"]
    torch.testing.assert_close(found["sta_swapped"], swapped)
