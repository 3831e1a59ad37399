"""Films: findings change only what they should, and brightness alone does not give them away."""

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from sista.phantom.anatomy import sample_anatomy, sample_view
from sista.phantom.devices import DEVICES
from sista.phantom.findings import KINDS, Finding
from sista.phantom.patients import make_patient, roster
from sista.phantom.presets import PRESETS, Preset
from sista.phantom.render import render
from sista.phantom.truth import decode, encode, tight_box


def film_of(*findings: Finding, seed: int = 0, devices: tuple[str, ...] = ()):
    rng = np.random.default_rng(seed)
    anatomy, view = sample_anatomy(rng), sample_view(rng, 320, True)
    return render(view, anatomy, findings, devices, rng)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_a_mask(kind):
    sided = kind not in {"cardiomegaly", "hernia", "foreign_object"}
    finding = Finding(kind, "left" if sided else "", "lower" if sided else "", "severe")
    film = film_of(finding)
    assert film.pixels.shape == (320, 320)
    assert film.pixels.dtype == np.float32
    assert 0 <= film.pixels.min() < film.pixels.max() <= 1
    assert len(film.marks) == 1
    mask = film.marks[0].mask
    assert 40 < mask.sum() < 0.5 * mask.size
    if sided:
        # The patient's left is on the right of the film.
        assert np.nonzero(mask)[1].mean() > 165
    assert bool(film.objects) == (kind == "foreign_object")


def test_bilateral_findings_have_one_mark_per_side():
    film = film_of(Finding("effusion", "bilateral", "lower", "severe"))
    assert [mark.side for mark in film.marks] == ["right", "left"]


def test_invisible_findings_are_not_drawn():
    hidden = Finding("consolidation", "left", "lower", certain=False, visible=False)
    assert not film_of(hidden).marks


def test_severity_grows_the_mask():
    for kind in ("effusion", "pneumothorax", "consolidation", "nodule", "cardiomegaly"):
        side = "" if kind == "cardiomegaly" else "right"
        sizes = [
            np.mean(
                [film_of(Finding(kind, side, "mid", s), seed=k).marks[0].mask.sum() for k in (1, 2)]
            )
            for s in ("mild", "moderate", "severe")
        ]
        assert sizes[0] < sizes[1] < sizes[2], kind


def test_every_device_is_drawn():
    plain = film_of().pixels
    for name in DEVICES:
        assert np.abs(film_of(devices=(name,)).pixels - plain).max() > 0.1


def test_mask_code_round_trip():
    mask = np.random.default_rng(0).random((31, 17)) > 0.7
    np.testing.assert_array_equal(decode(encode(mask)), mask)
    assert tight_box(np.pad(np.ones((2, 3), dtype=bool), ((4, 1), (5, 2)))) == (5, 4, 3, 2)


def test_presets_refuse_bad_values():
    with pytest.raises(ValueError, match="at least 320"):
        Preset("x", 1, 224, 0.35, {})
    with pytest.raises(ValueError, match="unknown layouts"):
        Preset("x", 1, 320, 0.35, {"nowhere": 3})
    with pytest.raises(ValueError, match="normal_share"):
        Preset("x", 1, 320, 1.5, {})


def test_brightness_statistics_do_not_find_opacities():
    preset = PRESETS["phantom"]
    features, target = [], []
    for entry in list(roster(preset, "rsna_pneumonia"))[:120]:
        patient = make_patient(preset, "rsna_pneumonia", entry[0], 1)
        study = patient.studies[0]
        small = Image.fromarray(patient.film(study).pixels).resize((64, 64))
        values = np.asarray(small)
        histogram = np.histogram(values, bins=12, range=(0, 1))[0]
        features.append([values.mean(), values.std(), *histogram])
        target.append(study.shows("opacity", "consolidation"))
    x, y = StandardScaler().fit_transform(np.array(features)), np.array(target)
    model = LogisticRegression(C=0.1, max_iter=500).fit(x[:80], y[:80])
    assert roc_auc_score(y[80:], model.decision_function(x[80:])) < 0.75
