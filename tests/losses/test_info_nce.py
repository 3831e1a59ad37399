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


def test_one_pair_has_nothing_to_contrast():
    image, report = embeddings()
    assert info_nce(image[:1], report[:1], temperature=0.07).item() == pytest.approx(0.0)
