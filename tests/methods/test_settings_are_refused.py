"""Settings that are unknown, of another type, out of range or without effect are refused."""

import pytest

from sista import registry
from sista.errors import UserError

SISTA_REFUSES = [
    ({"w_sta": 0.0, "sparsify": "topk"}, "it acts only with w_sta"),
    ({"sia_mode": "infonce", "theta": 0.5}, "theta=0.5 has no effect"),
    ({"sia_mode": "infonce", "similarity": "labels"}, "similarity='labels' has no effect"),
    ({"sia_mode": "soft", "theta": 0.5}, "theta=0.5 has no effect"),
    ({"theta": 0.5, "theta_quantile": 0.9}, "it acts only with theta_quantile: None"),
    ({"recentre": "corpus", "theta_quantile": 0.9}, "recentre='corpus' has no effect"),
    ({"similarity": "labels", "r_text": "raw"}, "it acts only with similarity other than labels"),
    ({"sparsify": "minmax", "attention_temperature": 0.1}, "attention_temperature=0.1 has no"),
    ({"w_report": 1.0, "directions": "patch", "same_word": "keep"}, "same_word='keep' has no"),
    ({"w_report": 1.0, "image_negatives": 0, "w_images": 0.5}, "it acts only with image_negatives"),
    ({"w_report": 1.0, "w_images": 0.0, "image_negatives": 4}, "it acts only with w_images"),
    ({"image_negatives": -1, "sia_mode": "infonce", "eliminate_images": False}, "eliminate_images"),
]


@pytest.mark.parametrize(("settings", "told"), SISTA_REFUSES)
def test_sista_refuses_settings_without_effect(settings, told):
    with pytest.raises(UserError, match=told):
        registry.check_settings("methods", "sista", settings)


@pytest.mark.parametrize(
    ("method", "settings", "told"),
    [
        ("clip", {"theta": 0.5}, "clip has no setting 'theta'; valid: temperature, .*width"),
        ("random_init", {"width": 8}, "random_init has no setting 'width'; valid: none"),
        ("sista", {"theta": "high"}, "sista: theta='high': expected float"),
        ("sista", {"theta": float("nan")}, "expected a finite number"),
        ("sista", {"theta": [0.5]}, r"theta=\[0.5\]: expected float"),
        ("sista", {"sia_mode": "remove"}, "expected Literal"),
        ("released", {}, "released needs the setting 'weights'"),
        ("gloria", {"w_global": 0, "w_local": 0.0}, "all 0, so there is nothing to train"),
    ],
)
def test_wrong_settings_are_refused_without_torch(method, settings, told):
    with pytest.raises(UserError, match=told):
        registry.check_settings("methods", method, settings)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("clip", {"temperature": 0.0}),
        ("clip", {"temperature": 2.0}),
        ("clip", {"width": 0}),
        ("gloria", {"chunk": 0}),
        ("ifnd", {"acceptance": 1.5}),
        ("ifnd", {"clusters": 0}),
        ("mgca", {"epsilon": 0.0}),
        ("mgca", {"iterations": -1}),
        ("mgca", {"local_temperature": 0}),
        ("pixpro", {"momentum": 1.5}),
        ("pixpro", {"reach": 0.0}),
        ("simclr", {"blur": 2.0}),
        ("simclr", {"crop": 2.0}),
        ("simclr", {"jitter": -0.1}),
        ("sista", {"image_negatives": -2}),
        ("sista", {"sigma": 1.5, "sparsify": "minmax"}),
        ("sista", {"theta_quantile": 90.0}),
        ("sista", {"top_k": 0, "sparsify": "topk"}),
        ("sista", {"w_sia": 0.0, "w_sta": 0.0}),
    ],
)
def test_numbers_without_a_meaning_are_refused(method, settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        registry.find("methods", method)(**settings)


def test_rules_name_settings_that_there_are():
    for method in registry.names("methods"):
        known = set(registry.settings("methods", method))
        try:
            acts = registry.constant("methods", method, "ACTS")
        except UserError:
            continue
        for group, needs in acts.items():
            assert set(group.split()) <= known, group
            conditions = needs.replace(" or ", " & ").split(" & ")
            assert {c.replace("!=", "=").partition("=")[0] for c in conditions} <= known, needs
