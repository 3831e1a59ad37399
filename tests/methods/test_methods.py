"""Every method of the registry, one without a test of its own too."""

import pytest
import torch

from sista import registry
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.encoders.text import small_bert
from sista.engine.corpus import Batch
from sista.engine.model import PretrainModel

SPECS = [
    EncoderSpec("r", "resnet", "resnet10t", 32, {"channels": (8, 8, 8, 8), "stem_width": 8}),
    EncoderSpec(
        "v",
        "vit",
        "vit_tiny_patch16_224",
        32,
        {"patch_size": 8, "depth": 1, "embed_dim": 16, "num_heads": 2},
    ),
]


def batch(size=6):
    generator = torch.Generator().manual_seed(0)
    length = torch.tensor([9, 4, 5, 9, 3, 7][:size])
    real = torch.arange(9) < length[:, None]
    words = torch.randint(0, 12, (size, 7), generator=generator)
    valid = torch.arange(7) < (length - 2)[:, None]
    inner = real & (torch.arange(9) > 0) & (torch.arange(9) < length[:, None] - 1)
    slot = torch.where(inner, torch.arange(-1, 8), 7)
    return Batch(
        images=torch.randint(0, 255, (size, 32, 32), generator=generator).float(),
        ids=torch.randint(5, 40, (size, 9), generator=generator) * real,
        length=length,
        chunks=(),
        slot=slot,
        word_ids=words.masked_fill(~valid, -1),
        word_count=valid.sum(1),
        sentence=torch.where(inner, torch.arange(-1, 8) // 3, 3),
        sentence_pieces=torch.stack(
            [(inner & (torch.arange(-1, 8) // 3 == s)).sum(1) for s in range(3)], 1
        ),
        labels=torch.randint(0, 2, (size, 3), generator=generator).float(),
        similarity=torch.eye(size),
        rows=torch.arange(size),
        second=torch.randint(0, 255, (size, 32, 32), generator=generator).float(),
        boxes=torch.tensor([[[0.0, 0.0, 0.8, 0.8, 0.0], [0.1, 0.2, 0.8, 0.8, 1.0]]] * size),
    )


def build(method, spec, **settings):
    torch.manual_seed(0)
    objective = registry.find("methods", method)(**settings)
    objective.prepare(6)
    image = ImageEncoder(spec)
    text = small_bert(40, 16) if objective.needs.text else None
    return objective, PretrainModel(image, text, objective.needs, 3)


def trained():
    return [n for n in registry.names("methods") if registry.find("methods", n)().needs.trained]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.family)
@pytest.mark.parametrize("method", trained())
def test_loss_is_finite_and_reaches_the_encoder(method, spec):
    objective, model = build(method, spec)
    parts = objective(model(batch()))
    assert all(value.ndim == 0 and torch.isfinite(value) for value in parts.values())
    parts["loss"].backward()
    gradient = next(model.image.parameters()).grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("method", trained())
def test_the_seed_repeats(method):
    losses = []
    for _ in range(2):
        objective, model = build(method, SPECS[0])
        losses.append(objective(model(batch()))["loss"].item())
    assert losses[0] == losses[1]


@pytest.mark.parametrize("method", registry.names("methods"))
def test_settings_have_documented_defaults(method):
    text = registry.settings_file(registry.path("methods", method)).read_text()
    for setting in registry.settings("methods", method).values():
        assert registry.check_setting(setting, setting.default) is None
        assert f" {setting.name}: " in text.split("settings = ")[0].replace("\n", " "), setting.name


def test_sista_switches():
    e = None
    for settings in (
        {"w_sta": 0.0},
        {"sia_mode": "infonce"},
        {"sia_mode": "soft"},
        {"sia_mode": "attract"},
        {"directions": "both", "sparsify": "topk", "top_k": 2, "same_word": "keep"},
        {"image_negatives": 0, "sparsify": "minmax"},
        {"swap_images": True, "stop_gradient": True},
    ):
        objective, model = build("sista", SPECS[1], **settings)
        e = model(batch())
        parts = objective(e)
        assert torch.isfinite(parts["loss"])
        assert ("sta" in parts) == (settings.get("w_sta", 1.0) != 0)
    weights = objective.word_patch_weights(e)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


def test_sista_without_both_parts_is_clip():
    one, model = build("clip", SPECS[0])
    other, same = build("sista", SPECS[0], w_sta=0.0, sia_mode="infonce")
    torch.testing.assert_close(one(model(batch()))["loss"], other(same(batch()))["loss"])
