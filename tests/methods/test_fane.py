from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from sista.losses.fane import masked_mean, within_report
from sista.methods.fane import SparsePooling, fane
from tests.methods.test_methods import SPECS, batch, build

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "instance_losses.npz")
EXACT = {"rtol": 1e-9, "atol": 1e-11}
# The golden's names of the weights, and ours.
NAMES = {"mask_linear.0": "gate_hidden", "mask_linear.2": "gate_out"}


def pooling():
    state = {}
    for name in GOLDEN.files:
        if name.startswith("fane_local_w."):
            layer, _, kind = name.removeprefix("fane_local_w.").rpartition(".")
            layer = NAMES.get(layer, layer.replace("out_project", "out"))
            state[f"{layer}.{kind}"] = torch.tensor(GOLDEN[name])
    module = SparsePooling(16).double()
    module.load_state_dict(state)
    return module


def test_sparse_pooling_meets_its_golden():
    patches = torch.tensor(GOLDEN["fane_local_img"]).requires_grad_()
    sentences = torch.tensor(GOLDEN["fane_local_sentences"]).requires_grad_()
    mask = torch.arange(6) < torch.tensor(GOLDEN["fane_local_n"])[:, None]
    context, gates = pooling()(patches, sentences)
    align = within_report(context, sentences, mask, temperature=0.07)
    sparse = masked_mean(gates.mean(2), mask).mean()
    (align + sparse).backward()
    np.testing.assert_allclose(align.item(), GOLDEN["fane_local_align_loss"], **EXACT)
    np.testing.assert_allclose(sparse.item(), GOLDEN["fane_local_sparse_loss"], **EXACT)
    np.testing.assert_allclose(patches.grad, GOLDEN["fane_local_grad_img"], **EXACT)
    found = sentences.grad.masked_fill(~mask[..., None], 0.0)
    np.testing.assert_allclose(found, GOLDEN["fane_local_grad_sentences"], **EXACT)
    assert sentences.grad.masked_select(~mask[..., None]).abs().sum() == 0


def test_the_centre_runs_over_batches_and_stands_still_in_evaluation():
    objective = fane().double()
    for n in range(3):
        unit = F.normalize(torch.tensor(GOLDEN[f"fane_feat{n}"]), dim=1)
        found = objective.recentred(unit @ unit.T)
        np.testing.assert_allclose(found, GOLDEN[f"fane_S{n}"], **EXACT)
        np.testing.assert_allclose(objective.centre, GOLDEN[f"fane_ostar{n}"], **EXACT)
    objective.eval()
    objective.recentred(torch.eye(4, dtype=torch.float64))
    np.testing.assert_allclose(objective.centre, GOLDEN["fane_ostar2"], **EXACT)
    assert "centre" in objective.state_dict()


def test_the_published_bias_starts_ten_per_negative():
    right, model = build("fane", SPECS[0])
    e = model(batch())
    published, _ = build("fane", SPECS[0], published_bias=True)
    assert right(e)["global"] < 20
    assert published(e)["global"] > 30
