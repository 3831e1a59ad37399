"""Every method of the registry, one without a test of its own too."""

import pytest
import torch

from sista import registry
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.encoders.text import small_bert
from sista.engine.batches import Batch
from sista.engine.model import PretrainModel
from sista.errors import UserError

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


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.family)
@pytest.mark.parametrize("method", trained())
def test_padding_never_leaks(method, spec):
    objective, model = build(method, spec)
    model.eval()
    given = batch()
    real = torch.arange(9) < given.length[:, None]
    e = model(given)
    loss = objective(e)["loss"]
    # Other word pieces after the end of a report.
    other = given._replace(ids=torch.where(real, given.ids, 7))
    torch.testing.assert_close(objective(model(other))["loss"], loss)
    # Anything at the padding of what the objective sees.
    noise = torch.Generator().manual_seed(1)
    for part, mask in (
        ("words", "word_mask"),
        ("word_attention", "word_mask"),
        ("sentences", "sentence_mask"),
    ):
        value = getattr(e, part)
        if value is not None:
            valid = getattr(e, mask).view(*value.shape[:2], *(1,) * (value.ndim - 2))
            noisy = 1e3 * torch.rand(value.shape, generator=noise)
            e = e._replace(**{part: torch.where(valid, value, noisy)})
    if e.word_ids is not None:
        ids = torch.where(e.word_mask, e.word_ids, 3)
        e = e._replace(word_ids=ids)
    torch.testing.assert_close(objective(e)["loss"], loss)


def test_the_released_arithmetic_of_mgca_is_a_setting():
    own, model = build("mgca", SPECS[1])
    released, _ = build("mgca", SPECS[1], compatibility="released_code")
    e = model(batch())
    first, second = own(e), released(e)
    assert first["cta"] != second["cta"]
    released.load_state_dict(own.state_dict())
    torch.testing.assert_close(own(e)["cpa"], released(e)["cpa"])


def test_mgca_keeps_its_prototypes_on_the_sphere():
    objective, model = build("mgca", SPECS[0])
    with torch.no_grad():
        objective.prototypes.mul_(3.0)
    objective.after_step(model, 1.0)
    torch.testing.assert_close(objective.prototypes.norm(dim=1), torch.ones(500))


@pytest.mark.parametrize("method", ["gloria", "mgca"])
def test_words_look_at_patches(method):
    objective, model = build(method, SPECS[1])
    e = model(batch())
    weights = objective.word_patch_weights(e)
    assert weights.shape == (*e.words.shape[:2], 16)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


def test_cls_counts_as_a_word_for_gloria_alone():
    _, model = build("gloria", SPECS[0])
    e = model(batch())
    assert e.words.shape[1] == batch().word_ids.shape[1] + 1
    assert e.word_mask[:, 0].all()
    assert torch.equal(e.word_count, e.word_mask.sum(1))
    _, model = build("mgca", SPECS[0])
    e = model(batch())
    assert torch.equal(e.word_mask, batch().word_ids >= 0)
    assert torch.equal(e.word_count, e.word_mask.sum(1))
    sums = e.word_attention.sum(1)
    assert ((sums > 0) & (sums < 1)).all()


def test_sentences_are_the_means_of_their_pieces():
    _, model = build("prior", SPECS[0])
    model.eval()
    given = batch()
    e = model(given)
    tokens = model.text(given.ids, given.length).tokens
    for row in range(len(tokens)):
        for number in range(3):
            pieces = tokens[row][given.sentence[row] == number]
            assert bool(e.sentence_mask[row, number]) == (len(pieces) > 0)
            if len(pieces):
                expected = model.word_head(pieces.mean(0))
                torch.testing.assert_close(e.sentences[row, number], expected)


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
        {"w_report": 1.0, "directions": "both", "sparsify": "topk", "top_k": 2},
        {"w_report": 0.5, "same_word": "keep"},
        {"w_report": 1.0, "image_negatives": 0, "sparsify": "minmax"},
        {"image_negatives": -1},
        {"word_weights": "cls"},
        {"swap_images": True, "stop_gradient": True},
    ):
        objective, model = build("sista", SPECS[1], **settings)
        e = model(batch())
        parts = objective(e)
        assert torch.isfinite(parts["loss"])
        assert ("sta" in parts) == (settings.get("w_sta", 1.0) != 0)
    weights = objective.word_patch_weights(e)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


@pytest.mark.parametrize("negatives", [3, -1])
def test_the_control_never_shows_a_study_its_own_image(negatives):
    """Words learn nothing from the true image: neither as their own nor as a negative."""
    objective, model = build("sista", SPECS[0], swap_images=True, image_negatives=negatives)
    e = model(batch())
    patches = e.patches.detach().requires_grad_()
    rolled = patches.roll(1, 0)
    told = objective(e)["sta"]
    torch.testing.assert_close(told, objective.tokens(e._replace(patches=patches), rolled)["sta"])
    each = objective.tokens(e._replace(patches=patches), rolled, "study")["sta"]
    if negatives > 0:
        (gradient,) = torch.autograd.grad(each[2], patches)
        seen = gradient.flatten(1).abs().sum(1) > 0
        # Study 2 is shown image 1, against images 3, 4 and 5.
        assert seen.tolist() == [False, True, False, True, True, True]


def test_the_running_centre_moves_once_a_step():
    objective, model = build("sista", SPECS[0], recentre="running", image_negatives=-1)
    e = model(batch())
    objective.train()
    objective(e)
    expected = 0.05 * e.similarity.mean().clamp_min(0).sqrt()
    torch.testing.assert_close(objective.centre, expected)


@pytest.mark.parametrize("settings", [{"image_negatives": 0}, {"w_images": 0.0}])
def test_sista_refuses_a_token_level_without_contrast(settings):
    with pytest.raises(UserError, match="nothing to contrast"):
        registry.find("methods", "sista")(w_report=0.0, **settings)


def test_sista_without_both_parts_is_clip():
    one, model = build("clip", SPECS[0])
    other, same = build("sista", SPECS[0], w_sta=0.0, sia_mode="infonce")
    torch.testing.assert_close(one(model(batch()))["loss"], other(same(batch()))["loss"])
