from pathlib import Path

import numpy as np
import pytest
import torch

from sista.losses import info_nce

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "instance_losses.npz")


def embeddings():
    return torch.tensor(GOLDEN["img"]), torch.tensor(GOLDEN["txt"])


def test_convirt_golden():
    names = [k for k in GOLDEN.files if k.startswith("convirt_alpha") and "grad" not in k]
    assert names
    for name in names:
        alpha = float(name.removeprefix("convirt_alpha").split("_")[0])
        loss = info_nce(*embeddings(), temperature=0.1, image_weight=alpha)
        np.testing.assert_allclose(loss.item(), GOLDEN[name], rtol=1e-9)


def test_convirt_golden_gradients():
    image, report = (x.requires_grad_() for x in embeddings())
    info_nce(image, report, temperature=0.1, image_weight=0.75).backward()
    for name, found in (("img", image.grad), ("txt", report.grad)):
        golden = GOLDEN[f"convirt_alpha0.75_grad_{name}"]
        np.testing.assert_allclose(found, golden, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("temperature", ["0.07", "0.1", "0.01"])
@pytest.mark.parametrize(("direction", "weight"), [("i2t", 1.0), ("t2i", 0.0), ("loss", 0.5)])
def test_clip_golden(temperature, direction, weight):
    loss = info_nce(*embeddings(), temperature=float(temperature), image_weight=weight)
    golden = GOLDEN[f"clip_tau{temperature}_{direction}"]
    np.testing.assert_allclose(loss.item(), golden, rtol=1e-9)


def test_one_pair_has_nothing_to_contrast():
    image, report = embeddings()
    assert info_nce(image[:1], report[:1], temperature=0.07).item() == pytest.approx(0.0)
