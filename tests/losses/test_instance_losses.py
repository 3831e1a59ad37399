"""SigLIP, MedCLIP, SAT and the global parts of FaNe against golden and second implementations."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from sista.losses import sia
from sista.losses.fane import fane_global, fane_intra, similarity_centre
from sista.losses.medclip import medclip
from sista.losses.sat import sat
from sista.losses.siglip import siglip

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "instance_losses.npz")
EXACT = {"rtol": 1e-9, "atol": 1e-11}
SINGLE = {"rtol": 1e-4, "atol": 1e-5}
BANDS = {"pub": {"positive": 0.98, "negative": 0.97}, "wide": {"positive": 0.9, "negative": 0.3}}


def golden(name, dtype=torch.float64):
    return torch.tensor(GOLDEN[name], dtype=dtype)


def pair(dtype=torch.float64):
    return golden("img", dtype).requires_grad_(), golden("txt", dtype).requires_grad_()


def agrees(loss, leaves, prefix, value=None):
    loss.backward()
    np.testing.assert_allclose(loss.item(), GOLDEN[value or prefix], **EXACT)
    for leaf, name in zip(leaves, ("img", "txt"), strict=True):
        np.testing.assert_allclose(leaf.grad, GOLDEN[f"{prefix}_grad_{name}"], **EXACT)


def test_siglip_is_a_sum_over_pairs():
    image, report = pair()
    tau, bias, total = 0.1, -10.0, 0.0
    for i in range(len(image)):
        for j in range(len(report)):
            cosine = image[i] @ report[j] / (image[i].norm() * report[j].norm())
            z = 1 if i == j else -1
            total += math.log(1 + math.exp(-z * (cosine.item() / tau + bias)))
    loss = siglip(image, report, temperature=tau, bias=bias)
    np.testing.assert_allclose(loss.item(), total / len(image), **EXACT)


def test_siglip_prefers_the_own_report():
    image, _ = pair()
    own = siglip(image, image, temperature=0.1, bias=-5.0)
    assert own < siglip(image, image.roll(1, 0), temperature=0.1, bias=-5.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_medclip_meets_its_golden(dtype):
    image, report = pair(dtype)
    labels = golden("medclip_img_labels", dtype), golden("medclip_txt_labels", dtype)
    loss = medclip(image, report, *labels, temperature=0.07)
    if dtype == torch.float64:
        agrees(loss, (image, report), "medclip", "medclip_loss")
    np.testing.assert_allclose(loss.item(), GOLDEN["medclip_loss"], **SINGLE)


def test_medclip_of_strangers_has_uniform_targets():
    image, report = pair()
    none = torch.zeros(8, 14, dtype=torch.float64)
    logits = F.normalize(image, dim=1) @ F.normalize(report, dim=1).T / 0.07
    expected = -(logits.log_softmax(0).mean() + logits.log_softmax(1).mean()) / 2
    torch.testing.assert_close(medclip(image, report, none, none, temperature=0.07), expected)


@pytest.mark.parametrize("band", list(BANDS))
@pytest.mark.parametrize("alpha", [0.5, 0.75])
def test_sat_with_the_mistake_of_its_code_meets_its_golden(band, alpha):
    image, report = pair()
    form = {"temperature": 0.1, "image_weight": alpha, "divide_by_negatives": True}
    loss = sat(image, report, golden("sat_R"), **form, **BANDS[band])
    np.testing.assert_allclose(loss.item(), GOLDEN[f"sat_{band}_alpha{alpha}_loss"], **EXACT)
    if alpha == 0.5:
        agrees(loss, (image, report), f"sat_{band}", f"sat_{band}_alpha0.5_loss")


@pytest.mark.parametrize("band", list(BANDS))
def test_sat_is_the_attracting_reading_of_sia(band):
    image, report = pair()
    similarity = golden("sat_R")
    loss = sat(image, report, similarity, temperature=0.1, **BANDS[band])
    np.testing.assert_allclose(loss.item(), GOLDEN[f"sat_{band}_formulaB_OWN"], **EXACT)
    cuts = {"threshold": BANDS[band]["positive"], "neutral": BANDS[band]["negative"]}
    other = sia(image, report, similarity, temperature=0.1, mode="attract", **cuts)
    torch.testing.assert_close(loss, other)


def test_sat_without_negatives_is_zero_and_flat():
    image, report = pair()
    same = torch.ones(8, 8, dtype=torch.float64)
    loss = sat(image, report, same, temperature=0.1, positive=0.98, negative=0.97)
    loss.backward()
    assert loss.item() == 0.0
    assert image.grad.abs().max() == 0.0


def positives(upto):
    """Return the positives of golden batch `upto` and its centre, through all batches before."""
    centre = None
    for n in range(upto + 1):
        unit = F.normalize(golden(f"fane_feat{n}"), dim=1)
        alike = unit @ unit.T
        new = similarity_centre(alike)
        centre = new if centre is None else 0.95 * centre + 0.05 * new
    recentred = (alike - centre) / (1 - centre + 1e-6)
    np.testing.assert_allclose(recentred, GOLDEN[f"fane_S{upto}"], **EXACT)
    np.testing.assert_allclose(centre, GOLDEN[f"fane_ostar{upto}"], **EXACT)
    return recentred > 0.95


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fane_meets_its_golden(n):
    positive = positives(n)
    scale = {"temperature": 0.1, "scale": math.log(1 / 0.07)}
    image, report = pair()
    published = fane_global(image, report, positive, bias=-10.0, **scale)
    np.testing.assert_allclose(published.item(), GOLDEN[f"fane_global{n}"], **EXACT)
    right = fane_global(image, report, positive, bias=10.0, **scale)
    name = f"fane_global_flipped_bias_OWN{n}"
    np.testing.assert_allclose(right.item(), GOLDEN[name], **EXACT)
    intra = fane_intra(image, report, positive, temperature=0.07, sharpness=0.07)
    np.testing.assert_allclose(intra.item(), GOLDEN[f"fane_intra{n}"], **EXACT)
    if n == 0:
        agrees(published, (image, report), "fane_global0")
        image, report = pair()
        intra = fane_intra(image, report, positive, temperature=0.07, sharpness=0.07)
        agrees(intra, (image, report), "fane_intra0")


def test_fane_of_positives_alone_has_no_hard_negative():
    image, report = pair()
    every = torch.ones(8, 8, dtype=torch.bool)
    loss = fane_intra(image, report, every, temperature=0.07, sharpness=0.07)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(image.grad).all()


LOSSES = {
    "siglip": lambda v, t: siglip(v, t, temperature=0.5, bias=-1.0),
    "medclip": lambda v, t: medclip(
        v, t, golden("medclip_img_labels"), golden("medclip_txt_labels"), temperature=0.5
    ),
    "sat": lambda v, t: sat(v, t, golden("sat_R"), temperature=0.5, **BANDS["wide"]),
    "fane_global": lambda v, t: fane_global(
        v, t, golden("fane_S0") > 0.95, temperature=0.5, scale=1.0, bias=1.0
    ),
    "fane_intra": lambda v, t: fane_intra(
        v, t, golden("fane_S0") > 0.95, temperature=0.5, sharpness=0.5
    ),
}


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradcheck(name):
    leaves = tuple(leaf.detach()[:, :4].clone().requires_grad_() for leaf in pair())
    assert torch.autograd.gradcheck(LOSSES[name], leaves)
